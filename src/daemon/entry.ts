import { runDaemon } from './main.ts';

await runDaemon(process.argv.slice(2));
// Nothing may hold the process once its work is done.
process.exit();
