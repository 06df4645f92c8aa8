// A provider whose network is two files: what people write is read from one, what the bot says goes to the other.
// Node 22 or newer; Node 20 with --experimental-websocket. Nothing to install.
//
// It shows what every provider has to do: keep a message until a receipt settles it, send again what it keeps, in
// order, after a reconnect, and remember across restarts which sends have left.
//
//     inbox.jsonl    {"id": "m1", "from": "ada", "text": "hello"}           appended by people
//     outbox.jsonl   {"send_id": "…", "id": "o1", "to": "ada", "text": "…"}  appended here
//
//     node provider.mjs --server http://127.0.0.1:8787 --bot demo --inbox inbox.jsonl --outbox outbox.jsonl
import { existsSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'

const string = value => ({ type: 'string', ...value })
const { values: args } = parseArgs({ options: {
  server: string({ default: 'http://127.0.0.1:8787' }), bot: string(), token: string(), inbox: string(), outbox: string(),
} })

/** The whole lines of a file; half a line was never written. */
function whole(path) {
  const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
  return text.slice(0, text.lastIndexOf('\n') + 1)
}
const lines = path => whole(path).split('\n').filter(Boolean).map(line => JSON.parse(line))

/** Lines on disk: appended whole, durable, and read again at the next start. */
class Journal {
  constructor(path) {
    this.lines = lines(path)
    this.file = openSync(path, 'a')
    truncateSync(path, Buffer.byteLength(whole(path)))
  }
  append(line) {
    writeSync(this.file, JSON.stringify(line) + '\n')
    fsyncSync(this.file)
  }
}

const journal = new Journal(`${args.inbox}.settled`)
const settled = new Set(journal.lines)
const outbox = new Journal(args.outbox)
const sent = new Map(outbox.lines.map(line => [line.send_id, line.id]))

/** One connection, until it breaks; resolves to how long the next one is to wait. */
function talk() {
  return new Promise(resolve => {
    const socket = new WebSocket(`${args.server.replace('http', 'ws')}/v1/provider`)
    const say = frame => socket.send(JSON.stringify(frame))
    const waiting = new Map()
    let window = 0, seq = 0, handed = 0
    // New messages, and those without a final receipt: in order, at most `window` on their way.
    const look = setInterval(() => {
      if (waiting.size >= window) return
      for (const message of lines(args.inbox).slice(handed)) {
        if (waiting.size >= window) break
        handed += 1
        if (settled.has(message.id)) continue
        waiting.set(++seq, message.id)
        say({ type: 'message', payload_version: 1, seq, provider_message_id: message.id, correspondent_id: message.from,
          sender: { identifier: message.from }, direction: 'incoming', originating_time: Date.now(), message: message.text })
      }
    }, 50)
    const end = wait => { // once: closing may tell of the end again
      clearInterval(look)
      socket.onmessage = socket.onerror = socket.onclose = null
      socket.close()
      resolve(wait)
    }
    const on = {
      welcome: frame => { window = frame.window },
      error: frame => { if (frame.fatal) { console.error('refused:', frame.detail); process.exit(1) } },
      receipt: frame => {
        const isFinal = ['accepted', 'duplicate'].includes(frame.outcome) || frame.reason === 'invalid'
        if (!isFinal) return end(frame.retry_after_ms) // the next connection sends all that is kept again, in order
        journal.append(waiting.get(frame.seq))
        settled.add(waiting.get(frame.seq))
        waiting.delete(frame.seq)
      },
      send: frame => {
        if (!sent.has(frame.send_id)) { // else it has left before: say so again
          sent.set(frame.send_id, `o${sent.size + 1}`)
          outbox.append({ send_id: frame.send_id, id: sent.get(frame.send_id), to: frame.correspondent_id, text: frame.message })
        }
        say({ type: 'sent', send_id: frame.send_id, provider_message_id: sent.get(frame.send_id) })
      },
    }
    socket.onopen = () => say({ type: 'hello', payload_version: 1, bot_id: args.bot, provider_name: 'files',
      provider_instance: 'only', token: args.token })
    socket.onmessage = event => { const frame = JSON.parse(event.data); on[frame.type]?.(frame) }
    socket.onerror = socket.onclose = () => end(0)
  })
}

for (;;) await sleep(await talk() + 50 + Math.random() * 450)
