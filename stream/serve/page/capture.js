// Runs beside the page: hands over the microphone's samples 20 ms at a time.
class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Int16Array(Math.round(sampleRate / 50));
    this.at = 0;
  }

  process([input]) {
    const channels = input.length;
    if (channels === 0) return true;
    for (let i = 0; i < input[0].length; i++) {
      let v = 0;
      for (let c = 0; c < channels; c++) v += input[c][i];
      this.block[this.at++] = Math.max(-32768, Math.min(32767, Math.round((v / channels) * 32768)));
      if (this.at === this.block.length) {
        this.port.postMessage(this.block.slice());
        this.at = 0;
      }
    }
    return true;
  }
}
registerProcessor('capture', Capture);
