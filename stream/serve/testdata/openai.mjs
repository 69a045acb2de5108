// Transcribes a file through OpenAI's own client library (npm install openai):
//   node openai.mjs http://127.0.0.1:8640/v1 speech.wav TOKEN
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [base, path, token] = process.argv.slice(2);
const require = createRequire(join(process.env.OPENAI_MODULES || process.cwd(), 'package.json'));
const OpenAI = require('openai').default;
const client = new OpenAI({ baseURL: base, apiKey: token || 'none', maxRetries: 0 });

const model = (await client.models.list()).data[0].id;
const ask = (options) => client.audio.transcriptions.create({ file: fs.createReadStream(path), model, ...options });
const out = { model };
out.json = (await ask({})).text;
out.text = await ask({ response_format: 'text' });
out.srt = await ask({ response_format: 'srt' });
out.vtt = await ask({ response_format: 'vtt' });
const verbose = await ask({ response_format: 'verbose_json', timestamp_granularities: ['word', 'segment'] });
out.words = verbose.words.length;
out.segments = verbose.segments.length;
out.duration = verbose.duration;
out.stream = '';
for await (const e of await ask({ stream: true })) {
  if (e.type === 'transcript.text.delta') out.stream += e.delta;
  if (e.type === 'transcript.text.done') out.done = e.text;
}
try {
  await ask({ language: 'xx' });
} catch (e) {
  out.error = { status: e.status, code: e.code, param: e.param };
}
console.log(JSON.stringify(out));
