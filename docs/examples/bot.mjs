// A bot that answers every message once, whatever is killed in between. Node 20 or newer, nothing to install.
//
// It remembers nothing. Its answer is a send whose send_id is the callback's id, so a callback that comes again makes
// the same send, and Anteroom knows it already. Only then is the callback acknowledged.
//
//     node bot.mjs --server http://127.0.0.1:8787 --bot demo
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'

const { values: args } = parseArgs({ options: {
  server: { type: 'string', default: 'http://127.0.0.1:8787' }, bot: { type: 'string' }, token: { type: 'string' },
} })
if (!args.bot) throw new Error('--bot is missing')
const base = `${args.server}/v1/bots/${encodeURIComponent(args.bot)}`
const headers = args.token ? { authorization: `Bearer ${args.token}` } : {}

/** What the bot says to a message; null for nothing. */
const answer = message => `You said: ${message.content}`

async function post(path, body) {
  const response = await fetch(base + path, { method: 'POST', headers, body: JSON.stringify(body),
    signal: AbortSignal.timeout(30_000) })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  return response.json()
}

/** Does what one callback asks for; doing it again changes nothing. */
async function act(callback) {
  const text = callback.type === 'message' ? answer(callback.message) : null
  if (text === null) return
  await post('/sends', { send_id: callback.callback_id, correspondent_id: callback.correspondent_id, message: text })
}

/** The events of a stream (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
async function* events(body) {
  let unread = ''
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    unread += chunk
    for (let end; (end = unread.indexOf('\n\n')) >= 0; unread = unread.slice(end + 2)) {
      const event = { type: 'message', data: '' }
      for (const line of unread.slice(0, end).split('\n')) {
        if (line.startsWith('event:')) event.type = line.slice(6).trim()
        if (line.startsWith('data:')) event.data += line.slice(5).trim()
      }
      if (event.data) yield event
    }
  }
}

/** Acts on one stream of callbacks until it ends. False when another bot took it over. */
async function follow() {
  const response = await fetch(`${base}/callbacks`, { headers: { ...headers, accept: 'text/event-stream' } })
  if (!response.ok) {
    const why = `${response.status} ${await response.text()}`
    if (response.status < 500) { console.error('refused:', why); process.exit(1) }
    throw new Error(why)
  }
  for await (const event of events(response.body)) {
    if (event.type === 'replaced') return false
    const frame = JSON.parse(event.data)
    // A bot that debounces gets bursts; each callback of one is acknowledged by itself.
    const callbacks = frame.type === 'messages' ? frame.callbacks : [frame]
    for (const callback of callbacks) {
      await act(callback)
      console.log(callback.callback_id, 'attempt', callback.attempt)
    }
    await post('/callbacks/ack', { callback_ids: callbacks.map(it => it.callback_id) })
  }
  return true
}

for (let failures = 0; ;) {
  const begun = performance.now()
  try {
    if (!await follow()) break
  } catch (error) {
    console.log('lost:', error.cause?.message ?? error.message)
  }
  // What was not acknowledged comes again: nothing has to be kept for it.
  failures = performance.now() - begun > 10_000 ? 0 : failures + 1
  await sleep(Math.min(5_000, 50 * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2))
}
console.log('another bot took over')
