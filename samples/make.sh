#!/bin/sh
# Rebuilds the audio files of this folder. Needs git, sox, flac, go and the
# Debian packages espeak-ng, flite, festival and festvox-kallpc16k.
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# speech.wav: one clip of LJ Speech, 22.05 kHz brought to 16 kHz. LJSPEECH may
# name a clone that is already there.
repo=${LJSPEECH:-}
if [ -z "$repo" ]; then
	repo=$tmp/lj
	git clone -q --no-checkout --filter=blob:none https://github.com/PrernaSocity/lj_speech_dataset_part_1 "$repo"
fi
git -C "$repo" show 328134a60409b5d1060f411fde6fa0eb20b22150:LJSpeech-1.1/wavs/LJ001-0108.wav >"$tmp/lj.wav"
sox -D "$tmp/lj.wav" -b 16 -r 16000 -c 1 speech.wav

to_flac() { # raw WAV, name
	sox -D "$1" -b 16 -r 16000 -c 1 "$tmp/out.wav"
	flac -s -f -8 --no-padding -o "$2" "$tmp/out.wav"
}

espeak-ng -v en-gb -w "$tmp/espeak.wav" \
	'Four score and seven years ago our fathers brought forth a new nation.'
to_flac "$tmp/espeak.wav" espeak.flac

flite -voice slt -o "$tmp/flite.wav" -t \
	'Alice was beginning to get very tired of sitting by her sister on the bank.'
to_flac "$tmp/flite.wav" flite.flac

echo 'It was the best of times, it was the worst of times.' |
	text2wave -eval '(voice_kal_diphone)' -o "$tmp/festival.wav"
to_flac "$tmp/festival.wav" festival.flac

go run music.go >"$tmp/music.wav"
flac -s -f -8 --no-padding -o music.flac "$tmp/music.wav"
