export { runDaemon } from './main.ts';
