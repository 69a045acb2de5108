// Spectrograms and the picture of the tokens.

const size = 512;
const hann = Float32Array.from({ length: size }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size));

// fft transforms in place; the length is a power of two.
function fft(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  for (let length = 2; length <= n; length <<= 1) {
    const half = length >> 1;
    for (let k = 0; k < half; k++) {
      const c = Math.cos((2 * Math.PI * k) / length), s = -Math.sin((2 * Math.PI * k) / length);
      for (let i = k; i < n; i += length) {
        const j = i + half;
        const x = re[j] * c - im[j] * s, y = re[j] * s + im[j] * c;
        re[j] = re[i] - x;
        im[j] = im[i] - y;
        re[i] += x;
        im[i] += y;
      }
    }
  }
}

// Colours from dark to light, evenly perceived; after the viridis map.
const stops = [[5, 12, 11], [13, 60, 66], [15, 118, 110], [74, 190, 128], [210, 230, 90], [255, 250, 200]];
function colour(v) {
  const x = Math.max(0, Math.min(0.9999, v)) * (stops.length - 1), i = Math.floor(x), t = x - i;
  return stops[i].map((c, k) => c + t * (stops[i + 1][k] - c));
}

// spectrogram paints the first 8 kHz of samples at 16 kHz, 80 dB deep.
export function spectrogram(canvas, pcm) {
  const width = 480, height = 160;
  canvas.width = width;
  canvas.height = height;
  const g = canvas.getContext('2d'), image = g.createImageData(width, height);
  const re = new Float32Array(size), im = new Float32Array(size);
  const hop = pcm.length / width;
  for (let x = 0; x < width; x++) {
    const from = Math.round(x * hop + hop / 2 - size / 2);
    for (let i = 0; i < size; i++) {
      re[i] = (pcm[from + i] || 0) * hann[i];
      im[i] = 0;
    }
    fft(re, im);
    for (let y = 0; y < height; y++) {
      const low = Math.floor((y * size) / 2 / height), high = Math.max(low + 1, Math.floor(((y + 1) * size) / 2 / height));
      let power = 1e-12;
      for (let k = low; k < high; k++) power = Math.max(power, re[k] * re[k] + im[k] * im[k]);
      const [r, gr, b] = colour((10 * Math.log10(power) + 50) / 80);
      const at = ((height - 1 - y) * width + x) * 4;
      image.data.set([r, gr, b, 255], at);
    }
  }
  g.putImageData(image, 0, 0);
}

// matrix paints codes [frames][codebooks]: a column a frame, a row a codebook, a
// colour a code.
export function matrix(canvas, t) {
  const cell = t.frames > 600 ? 2 : t.frames > 250 ? 4 : 8, row = Math.max(10, Math.floor(150 / t.codebooks));
  canvas.width = Math.min(t.frames * cell, 16000);
  canvas.height = t.codebooks * row;
  const g = canvas.getContext('2d');
  for (let f = 0; f < t.frames && f * cell < canvas.width; f++) {
    for (let q = 0; q < t.codebooks; q++) {
      const code = t.codes[f * t.codebooks + q], of = t.codebook_sizes[q];
      const hue = (code * 137.508) % 360;
      g.fillStyle = `hsl(${hue} ${62 - 5 * q}% ${34 + (26 * code) / of}%)`;
      g.fillRect(f * cell, q * row, cell, row - 1);
    }
  }
  return { cell, row };
}
