// Jobs that need no time through Agenda, on the same server, as durable as Anteroom's: a backlog that is
// stored first, then as many as are done in a bounded time. Prints one line of JSON.
import { Agenda } from 'agenda';
import { MongoBackend } from '@agendajs/mongo-backend';

const [address, count, seconds] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const agenda = new Agenda({
  backend: new MongoBackend({ address, ensureIndex: true }),
  processEvery: '100 milliseconds',
  maxConcurrency: 200,
  defaultConcurrency: 200,
  defaultLockLimit: 0,
});
agenda.on('error', (error) => console.error(String(error)));
let done = 0;
let told = () => {};
agenda.define('media', async () => {});
agenda.on('complete:media', () => {
  done += 1;
  if (done === count) told();
});
await agenda.ready;
for (let stored = 0; stored < count; stored += 50) {
  await Promise.all(Array.from({ length: 50 }, (_, n) => agenda.now('media', { n: stored + n })));
}
const begun = performance.now();
const allDone = new Promise((resolve) => { told = resolve; });
await agenda.start();
await Promise.race([allDone, new Promise((resolve) => setTimeout(resolve, seconds * 1000))]);
const took = (performance.now() - begun) / 1000;
console.log(JSON.stringify({ jobs: done, seconds: took }));
process.exit(0);
