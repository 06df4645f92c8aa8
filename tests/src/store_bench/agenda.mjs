// Jobs that need no time through Agenda, on the same server, as durable as Anteroom's: stored while it
// runs, or all before it starts and then not counted in the time. Prints one line of JSON.
import { Agenda } from 'agenda';
import { MongoBackend } from '@agendajs/mongo-backend';

const [, , address, manner, count, seconds] = process.argv;
const jobs = Number(count);
const agenda = new Agenda({
  backend: new MongoBackend({ address, ensureIndex: true }),
  processEvery: 100,
  // Of 5, 20, 50, 200 and 1,000 at once it did most jobs with 20.
  maxConcurrency: 20,
  defaultConcurrency: 20,
  defaultLockLimit: 0,
});
agenda.on('error', (error) => console.error(String(error)));
let done = 0;
let told = () => {};
const allDone = new Promise((resolve) => { told = resolve; });
agenda.define('media', async () => {});
agenda.on('complete:media', () => {
  done += 1;
  if (done === jobs) told();
});
await agenda.ready;

let stored = 0;
const storing = async () => {
  while (stored < jobs) {
    const n = stored;
    stored += 1;
    await agenda.now('media', { n });
  }
};
const store = () => Promise.all(Array.from({ length: 50 }, storing));

if (manner === 'waiting') await store();
const begun = performance.now();
await agenda.start();
if (manner === 'arriving') await store();
await Promise.race([allDone, new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000))]);
const took = (performance.now() - begun) / 1000;
console.log(JSON.stringify({ jobs: done, seconds: took }));
process.exit(0);
