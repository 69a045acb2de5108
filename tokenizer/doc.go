// Package tokenizer turns speech into the token sequences that language models
// train on, at the scale of a corpus, and back.
//
// A codec gives frames of codes [T][Q]. A Vocabulary lays them out as a sequence
// of ids (parallel, flat, delayed, coarse first, or as units of a single
// codebook) and inverts that exactly. Formats store sequences with their
// transcripts and speakers so that training code reads them in a line or two:
// npy, npz, Parquet, WebDataset, JSON lines, text and Kaldi archives. A Run
// takes a whole corpus there: it works on a bounded number of files at once,
// can be one of many shards, and goes on after a kill where it stopped.
package tokenizer
