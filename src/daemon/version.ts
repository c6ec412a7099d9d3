/** What this build is; the bundler may replace the two environment values. */
export const daemonVersion = {
  version: '0.1.0',
  gitCommit: process.env['CORACLE_GIT_COMMIT'] ?? 'HEAD',
  buildTime: process.env['CORACLE_BUILD_TIME'] ?? '',
};
