import { ask, setToken, transcribe } from '/api.js';
import { matrix, spectrogram } from '/spectrum.js';

const $ = (id) => document.getElementById(id);
let info = null; // of the server
let words = []; // committed
let guessed = []; // tentative, and when they were first shown
let players = []; // the original and each bitrate
const levels = []; // of the microphone, newest last
let current = null; // the player that was heard last

// Say things.

function say(text) { $('status').textContent = text; }

function alarm(text) {
  $('alert').textContent = text;
  $('alert').hidden = !text;
}

const bytes = (n) => (n < 10000 ? `${n} B` : n < 1e7 ? `${(n / 1000).toFixed(1)} kB` : `${(n / 1e6).toFixed(1)} MB`);
const time = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, '0')}`;

// Theme.

const themes = matchMedia('(prefers-color-scheme: dark)');
let theme = localStorage.getItem('sotto-theme') || (themes.matches ? 'dark' : 'light');
function paintTheme() {
  document.documentElement.dataset.theme = theme;
  $('theme').setAttribute('aria-label', theme === 'dark' ? 'Change to light' : 'Change to dark');
}
$('theme').onclick = () => {
  theme = theme === 'dark' ? 'light' : 'dark';
  localStorage.setItem('sotto-theme', theme);
  paintTheme();
  paintLevels();
};
paintTheme();

// The server.

async function greet() {
  try {
    info = await (await ask('/v1/info')).json();
  } catch (e) {
    if (e.status === 401) {
      $('auth').showModal();
      return;
    }
    alarm(`The server does not answer: ${e.message}`);
    return;
  }
  alarm('');
  const fact = (name, value) => {
    const d = document.createElement('div'), dt = document.createElement('dt'), dd = document.createElement('dd');
    dt.textContent = name;
    dd.textContent = value;
    d.append(dt, dd);
    return d;
  };
  $('facts').replaceChildren(
    fact('codec', info.codec.name),
    fact('latency', `${info.codec.latency_ms} ms`),
    fact('recogniser', info.recognizer ? info.recognizer.name : 'none'),
  );
  $('version').textContent = info.version;
  if (!info.recognizer) $('no-words').textContent = 'This server was started without a recogniser: it encodes and decodes, but does not transcribe.';
}
$('auth').addEventListener('close', () => {
  setToken($('token').value);
  greet();
});

// Words.

function clearWords() {
  words = [];
  guessed = [];
  $('committed').replaceChildren();
  $('tentative').textContent = '';
  $('no-words').hidden = true;
  $('text-actions').hidden = true;
}

function commit(list) {
  for (const w of list) {
    words.push(w);
    const s = document.createElement('span');
    s.dataset.start = w.start;
    s.dataset.end = w.end;
    s.title = `${w.start.toFixed(2)} to ${w.end.toFixed(2)} s` + (w.confidence ? `, confidence ${Math.round(100 * w.confidence)} %` : '');
    s.textContent = w.word;
    s.onclick = () => current && seek(current, w.start);
    if (words.length > 1) $('committed').append(' ');
    $('committed').append(s);
    if (recording && recording.began) {
      const now = performance.now(), first = guessed.shift();
      const after = (at) => (at - recording.began) / 1000 - w.end;
      s.dataset.shown = after(first && first.word === w.word ? first.at : now).toFixed(3);
      s.dataset.settled = after(now).toFixed(3);
      say(`Listening. The newest word showed ${Math.max(0, s.dataset.shown).toFixed(1)} s after its end and settled after ${Math.max(0, s.dataset.settled).toFixed(1)} s.`);
    }
  }
}

function show(m) {
  commit(m.committed);
  $('tentative').textContent = m.tentative.map((w) => w.word).join(' ');
  guessed = m.tentative.map((w, i) => (guessed[i] && guessed[i].word === w.word ? guessed[i] : { word: w.word, at: performance.now() }));
}

// lines joins words into subtitles: two lines of text, seven seconds, no pause.
function lines() {
  const out = [];
  let line = null;
  for (const w of words) {
    if (!line || line.text.length + w.word.length > 83 || w.end - line.start > 7 || w.start - line.end > 0.8) {
      line = { start: w.start, end: w.end, text: w.word };
      out.push(line);
    } else {
      line.text += ` ${w.word}`;
      line.end = w.end;
    }
  }
  return out;
}

function saveWords() {
  if (words.length === 0) {
    $('no-words').textContent = info && info.recognizer ? 'No words were heard.' : $('no-words').textContent;
    $('no-words').hidden = false;
    return;
  }
  const stamp = (s, point) => {
    const ms = Math.round(s * 1000), two = (v) => String(v).padStart(2, '0');
    return `${two(Math.floor(ms / 3600000))}:${two(Math.floor(ms / 60000) % 60)}:${two(Math.floor(ms / 1000) % 60)}${point}${String(ms % 1000).padStart(3, '0')}`;
  };
  const link = (id, text) => { $(id).href = URL.createObjectURL(new Blob([text], { type: 'text/plain' })); };
  link('save-txt', `${words.map((w) => w.word).join(' ')}\n`);
  link('save-srt', lines().map((l, i) => `${i + 1}\n${stamp(l.start, ',')} --> ${stamp(l.end, ',')}\n${l.text}\n`).join('\n'));
  link('save-vtt', `WEBVTT\n\n${lines().map((l) => `${stamp(l.start, '.')} --> ${stamp(l.end, '.')}\n${l.text}\n`).join('\n')}`);
  $('text-actions').hidden = false;
}

// Recording.

let recording = null;

$('record').onclick = () => (recording ? stop() : start());

async function start() {
  alarm('');
  if (!navigator.mediaDevices) {
    alarm('Browsers give pages the microphone on localhost and over HTTPS only: start the server with --tls-cert and --tls-key.');
    return;
  }
  let media;
  try {
    media = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  } catch (e) {
    alarm(e.name === 'NotAllowedError' ? 'The microphone was not allowed: allow it for this page in the browser.' : `There is no microphone: ${e.message}`);
    return;
  }
  const context = new AudioContext();
  await context.audioWorklet.addModule('/capture.js');
  const node = new AudioWorkletNode(context, 'capture');
  const r = { context, media, blocks: [], samples: 0, rate: context.sampleRate, began: 0 };
  recording = r;
  clearWords();
  if (info && info.recognizer) {
    r.over = new Promise((resolve) => {
      r.stream = transcribe(r.rate, (m) => {
        if (m.type === 'words') show(m);
        if (m.type === 'error') alarm(m.message);
        if (m.type === 'done' || m.type === 'closed') resolve();
      });
    });
  } else {
    $('no-words').hidden = false;
  }
  node.port.onmessage = ({ data }) => {
    if (recording !== r) return;
    r.began ||= performance.now() - (1000 * data.length) / r.rate;
    r.blocks.push(data);
    r.samples += data.length;
    if (r.stream) r.stream.push(data.buffer.slice(0));
    $('clock').textContent = time(r.samples / r.rate);
    level(data);
  };
  context.createMediaStreamSource(media).connect(node);
  $('record').setAttribute('aria-pressed', 'true');
  $('record-label').textContent = 'Stop';
  say('Listening.');
}

async function stop() {
  const r = recording;
  recording = null;
  $('record').setAttribute('aria-pressed', 'false');
  $('record-label').textContent = 'Record';
  r.media.getTracks().forEach((t) => t.stop());
  await r.context.close();
  if (r.samples === 0) {
    say('Nothing was recorded.');
    return;
  }
  if (r.stream) {
    r.stream.end();
    await Promise.race([r.over, new Promise((f) => setTimeout(f, 10000))]);
    $('tentative').textContent = '';
  }
  saveWords();
  await present(new File([wav(r.blocks, r.samples, r.rate)], 'recording.wav', { type: 'audio/wav' }));
}

// wav makes a file of 16-bit samples.
function wav(blocks, samples, rate) {
  const head = new DataView(new ArrayBuffer(44));
  const text = (at, s) => [...s].forEach((c, i) => head.setUint8(at + i, c.charCodeAt(0)));
  text(0, 'RIFF');
  head.setUint32(4, 36 + 2 * samples, true);
  text(8, 'WAVEfmt ');
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, 2 * rate, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, 'data');
  head.setUint32(40, 2 * samples, true);
  return new Blob([head, ...blocks]);
}

function level(block) {
  let peak = 0;
  for (const v of block) peak = Math.max(peak, Math.abs(v));
  levels.push(peak / 32768);
  paintLevels();
}

function paintLevels() {
  const c = $('meter'), g = c.getContext('2d'), bar = 4;
  while (levels.length > c.width / (bar + 2)) levels.shift();
  g.clearRect(0, 0, c.width, c.height);
  g.fillStyle = getComputedStyle(c).getPropertyValue('color');
  g.globalAlpha = 0.75;
  levels.forEach((v, i) => {
    const h = Math.max(3, Math.sqrt(v) * c.height);
    g.fillRect(i * (bar + 2), (c.height - h) / 2, bar, h);
  });
}

// Files.

$('file').onchange = () => $('file').files[0] && open($('file').files[0]);
const drop = $('drop');
addEventListener('dragover', (e) => { e.preventDefault(); drop.classList.add('over'); });
addEventListener('dragleave', (e) => { if (!e.relatedTarget) drop.classList.remove('over'); });
addEventListener('drop', (e) => {
  e.preventDefault();
  drop.classList.remove('over');
  if (e.dataTransfer.files[0]) open(e.dataTransfer.files[0]);
});

async function open(file) {
  alarm('');
  if (recording) await stop();
  if (info && file.size > info.limits.bytes) {
    alarm(`${file.name} has ${bytes(file.size)}: this server takes ${bytes(info.limits.bytes)} at most.`);
    return;
  }
  try {
    if (file.name.endsWith('.sotto')) {
      say(`Decoding ${file.name}.`);
      file = new File([await (await ask('/v1/audio/decode', { method: 'POST', body: file })).blob()], file.name.replace(/sotto$/, 'wav'), { type: 'audio/wav' });
    }
    clearWords();
    await Promise.all([present(file), read(file)]);
  } catch (e) {
    if (e.status === 401) $('auth').showModal();
    alarm(e.message);
    say('');
  }
}

// read transcribes a file.
async function read(file) {
  if (!info || !info.recognizer) {
    $('no-words').hidden = false;
    return;
  }
  const form = new FormData();
  form.set('file', file);
  form.set('model', info.recognizer.name);
  form.set('response_format', 'verbose_json');
  form.append('timestamp_granularities[]', 'word');
  const t = await (await ask('/v1/audio/transcriptions', { method: 'POST', body: form })).json();
  commit(t.words);
  saveWords();
}

// Listening.

// present shows a recording: itself, and at every bitrate.
async function present(file) {
  players.forEach((p) => { p.audio.pause(); URL.revokeObjectURL(p.audio.src); });
  players = [];
  current = null;
  $('players').replaceChildren();
  $('listen').hidden = false;
  $('tokens').hidden = true;
  say(`Encoding ${file.name}.`);
  await addPlayer('Original', file, `${bytes(file.size)}`, null);
  const rates = [...info.codec.bitrates].reverse().map((b) => b / 1000);
  const tokens = ask(`/v1/audio/tokens?mono=1`, { method: 'POST', body: file }).then((r) => r.json()).then(showTokens);
  for (const rate of rates) {
    const coded = await (await ask(`/v1/audio/encode?mono=1&bitrate=${rate}`, { method: 'POST', body: file })).blob();
    const decoded = await (await ask('/v1/audio/decode', { method: 'POST', body: coded })).blob();
    await addPlayer(`${rate} kbit/s`, decoded, bytes(coded.size), coded);
  }
  await tokens;
  say(`${players.length - 1} bitrates of ${file.name}.`);
}

const playing = '<svg viewBox="0 0 24 24" aria-hidden="true"><rect x="6" y="5" width="4" height="14" rx="1"/><rect x="14" y="5" width="4" height="14" rx="1"/></svg>';
const paused = '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M8 5.500v13a1 1 0 0 0 1.500.860l10.500-6.500a1 1 0 0 0 0-1.720L9.500 4.640A1 1 0 0 0 8 5.500z"/></svg>';

async function addPlayer(name, blob, size, coded) {
  const box = document.createElement('article'), n = players.length;
  box.className = 'player';
  box.innerHTML = '<header><button class="play" type="button"></button><h3></h3><p class="size"></p></header><div class="view"><canvas role="img"></canvas><span class="line"></span></div><input class="seek" type="range" min="0" max="1" step="0.01" value="0"><footer></footer>';
  const q = (s) => box.querySelector(s);
  q('h3').textContent = name;
  q('.size').textContent = size;
  q('canvas').setAttribute('aria-label', `Spectrogram, ${name}`);
  q('.seek').setAttribute('aria-label', `Position, ${name}`);
  const audio = new Audio(URL.createObjectURL(blob));
  const p = { name, box, audio, button: q('.play'), seek: q('.seek'), line: q('.line') };
  players.push(p);
  q('.play').onclick = () => toggle(p);
  q('.seek').oninput = () => seek(p, Number(q('.seek').value));
  const save = (text, b, file) => {
    const a = document.createElement('a');
    a.className = 'button';
    a.href = URL.createObjectURL(b);
    a.download = file;
    a.textContent = text;
    a.setAttribute('aria-label', `Download ${text}, ${name}`);
    q('footer').append(a);
  };
  if (coded) save('.sotto', coded, `speech-${name.split(' ')[0]}.sotto`);
  save(coded ? 'WAV' : 'File', blob, coded ? `speech-${name.split(' ')[0]}.wav` : blob.name);
  audio.ontimeupdate = () => place(p);
  audio.onplay = audio.onpause = audio.onended = () => paintPlayer(p);
  audio.onloadedmetadata = () => { if (isFinite(audio.duration)) p.seek.max = audio.duration; };
  paintPlayer(p);
  $('players').append(box);
  p.number = n;
  try {
    const context = new OfflineAudioContext(1, 1, 16000);
    const buffer = await context.decodeAudioData(await blob.arrayBuffer());
    const mono = buffer.getChannelData(0);
    p.seek.max = buffer.duration;
    spectrogram(q('canvas'), mono);
    if (coded) q('.size').innerHTML += `<br>1/${Math.round((mono.length * 2) / coded.size)} of 16-bit`;
  } catch { /* the browser cannot read this kind: the decoded ones show */ }
}

function paintPlayer(p) {
  const on = !p.audio.paused && !p.audio.ended;
  p.button.innerHTML = on ? playing : paused;
  p.button.setAttribute('aria-label', `${on ? 'Pause' : 'Play'} ${p.name}`);
  p.box.classList.toggle('playing', on);
}

// toggle plays a player from where the last one was heard.
function toggle(p) {
  if (!p.audio.paused) {
    p.audio.pause();
    return;
  }
  if (current && current !== p) {
    const at = current.audio.ended ? 0 : current.audio.currentTime;
    current.audio.pause();
    p.audio.currentTime = at;
  }
  current = p;
  p.audio.play();
}

function seek(p, seconds) {
  p.audio.currentTime = seconds;
  current = p;
  place(p);
}

function place(p) {
  const at = p.audio.currentTime, of = Number(p.seek.max) || 1;
  p.seek.value = at;
  p.seek.setAttribute('aria-valuetext', time(at));
  p.line.style.left = `${(100 * at) / of}%`;
  document.querySelectorAll('#committed span').forEach((s) => s.classList.toggle('now', p === current && !p.audio.paused && at >= s.dataset.start && at < s.dataset.end));
}

addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest('input[type=password], .matrix')) return;
  if (/^[0-9]$/.test(e.key) && players[Number(e.key)]) {
    const p = players[Number(e.key)];
    if (p.audio.paused) toggle(p);
  } else if (e.key === ' ' && !e.target.closest('button, a, input, label') && players.length) {
    e.preventDefault();
    toggle(current || players[0]);
  }
});

// Tokens.

function showTokens(t) {
  $('tokens').hidden = false;
  $('tokens-about').textContent = `${t.frames} frames of ${t.codebooks} codes, ${t.frame_rate} a second. Each column is a frame, each row a codebook from the coarsest down, each colour a code.`;
  const size = matrix($('matrix'), t);
  const box = $('matrix-box');
  box.setAttribute('aria-label', `Tokens: ${t.frames} frames of ${t.codebooks} codebooks. Arrow keys read single codes.`);
  const at = { f: 0, q: 0 };
  const read = () => {
    $('matrix-read').textContent = `frame ${at.f} (${(at.f / t.frame_rate).toFixed(2)} s), codebook ${at.q}: code ${t.codes[at.f * t.codebooks + at.q]} of ${t.codebook_sizes[at.q]}`;
  };
  box.onmousemove = (e) => {
    const r = $('matrix').getBoundingClientRect();
    at.f = Math.max(0, Math.min(t.frames - 1, Math.floor((e.clientX - r.left) / size.cell)));
    at.q = Math.max(0, Math.min(t.codebooks - 1, Math.floor((e.clientY - r.top) / size.row)));
    read();
  };
  box.onkeydown = (e) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (!move) return;
    e.preventDefault();
    at.f = Math.max(0, Math.min(t.frames - 1, at.f + move[0]));
    at.q = Math.max(0, Math.min(t.codebooks - 1, at.q + move[1]));
    box.scrollLeft = at.f * size.cell - box.clientWidth / 2;
    read();
  };
  $('save-json').href = URL.createObjectURL(new Blob([JSON.stringify(t)], { type: 'application/json' }));
}

greet();
