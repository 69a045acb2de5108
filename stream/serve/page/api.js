// What the page asks of the server.

let token = sessionStorage.getItem('sotto-token') || '';

export function setToken(t) {
  token = t;
  sessionStorage.setItem('sotto-token', t);
}

function headers() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

// ask makes a request; an error carries the server's words.
export async function ask(path, options = {}) {
  const r = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
  if (r.ok) return r;
  let message = `${r.status} ${r.statusText}`;
  try {
    message = (await r.json()).error.message;
  } catch { /* no JSON */ }
  const e = new Error(message);
  e.status = r.status;
  throw e;
}

// transcribe opens a stream of samples; told gets its messages.
export function transcribe(sampleRate, told) {
  const url = new URL('/v1/stream', location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  const s = new WebSocket(url, token ? ['sotto', `bearer.${token}`] : ['sotto']);
  s.binaryType = 'arraybuffer';
  const waiting = [];
  let ready = false;
  s.onopen = () => s.send(JSON.stringify({ type: 'start', task: 'transcribe', sample_rate: sampleRate, format: 's16' }));
  s.onmessage = (e) => {
    const m = JSON.parse(e.data);
    if (m.type === 'ready') {
      ready = true;
      waiting.splice(0).forEach((b) => s.send(b));
    }
    told(m);
  };
  s.onclose = () => told({ type: 'closed' });
  s.onerror = () => told({ type: 'error', message: 'The connection to the server failed.' });
  const give = (b) => (ready ? s.readyState === WebSocket.OPEN && s.send(b) : waiting.push(b));
  return { push: give, end: () => give(JSON.stringify({ type: 'end' })) };
}
