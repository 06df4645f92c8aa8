#!/usr/bin/env python3
"""A stand-in for whisper.cpp's whisper-cli: its command line without the model.

It takes the options of the real one that Anteroom uses, in both spellings, and as the real one does it
explains itself and exits with 0 when it does not know an option, exits with 3 for a file that is no model,
and prints one line break, then the words with a space before them and nothing behind them. It reads WAV of 16,000
samples a second only, and instead of what was said it tells what it was given.
"""
import array
import os
import sys
import wave


def complain(words):
    print(words, file=sys.stderr)


options = {"model": "models/ggml-base.en.bin", "language": "en", "file": None}
flags = set()
VALUES = {"-m": "model", "--model": "model", "-l": "language", "--language": "language", "-f": "file", "--file": "file"}
FLAGS = {"-np": "np", "--no-prints": "np", "-nt": "nt", "--no-timestamps": "nt"}
arguments = iter(sys.argv[1:])
for argument in arguments:
    if argument in VALUES:
        options[VALUES[argument]] = next(arguments)
    elif argument in FLAGS:
        flags.add(FLAGS[argument])
    else:
        complain(f"error: unknown argument: {argument}\n\nusage: whisper-cli [options] file0 file1 ...")
        sys.exit(0)
if options["file"] is None:
    complain("error: no input files specified")
    sys.exit(2)
if options["language"] not in ("auto", "en", "de"):
    complain(f"error: unknown language '{options['language']}'")
    sys.exit(0)
with open(options["model"], "rb") as model:
    if model.read(4) != b"lmgg":
        complain("whisper_model_load: invalid model data (bad magic)")
        complain("error: failed to initialize whisper context")
        sys.exit(3)
with wave.open(options["file"]) as sound:
    assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16000, 1, 2)
    samples = array.array("h", sound.readframes(sound.getnframes()))
if "np" not in flags:
    complain("system_info: n_threads = 1 / 1")
said = "[BLANK_AUDIO]"
if max(map(abs, samples), default=0) > 100:
    seconds = round(len(samples) / 16000)
    said = f"{seconds} seconds in {options['language']} by {os.path.basename(options['model'])}"
if "nt" in flags:
    print(f"\n {said}", end="")
else:
    print(f"\n[00:00:00.000 --> 00:00:02.000]   {said}")
