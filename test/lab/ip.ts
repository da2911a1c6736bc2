import { spawn, spawnSync } from 'node:child_process';

/** Runs a shell script, in a network namespace when its path is given, with `input` on stdin. */
export async function shell(script: string, input: string, netnsPath?: string): Promise<void> {
  const enter = netnsPath === undefined ? [] : ['nsenter', `--net=${netnsPath}`];
  const [command = 'sh', ...args] = [...enter, 'sh', '-ec', script];
  const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  await new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${script}: exit ${code}: ${stderr.trim()}\n${input}`));
    });
  });
}

/** Deletes named namespaces; those that another process has deleted meanwhile are no error. */
export function deleteNamespaces(names: readonly string[]): void {
  if (names.length === 0) return;
  const input = names.map((name) => `netns del ${name}\n`).join('');
  spawnSync('ip', ['-force', '-batch', '-'], { input, stdio: ['pipe', 'ignore', 'ignore'] });
}
