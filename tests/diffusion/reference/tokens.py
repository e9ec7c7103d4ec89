"""Toy tokenizers: small vocabularies, made the way the real ones are.

CLIP: 256 symbols for bytes, the same with "</w>", merges, then <|startoftext|> and <|endoftext|>. So "!" has the number
0 and the end token the highest, which pooling relies on. T5: pieces with scores, pad 0, end 1, unknown 2, and
sentencepiece's compiled map of characters, here with a handful of rules.
"""
import collections
import io
import json

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from transformers import CLIPTokenizer, T5Tokenizer

LINES = """
a lighthouse above the harbour at dawn, watercolour, soft light, highly detailed
three glass bottles of medicine on an oak shelf; studio photograph, rim light
an armoured knight resting beside a campfire, embers, volumetric fog, 35mm
the merchant's stall sells lanterns, maps and rope under a striped awning
isometric icon of a treasure chest with gold coins, game asset, white background
rocket over a snowy valley, cinematic, wide angle, sharp focus, blue hour
low quality, blurry, cropped, watermark, signature, extra fingers, jpeg artefacts
don't draw what isn't there: no text, no frame, no logo
Sale 50% off! Only 3 days left. 2026 edition
""".strip().splitlines()

MERGES = 300
# Rules of the character map: ligature, full-width letters, no-break and ideographic space, a stroke that falls away.
CHARACTERS = {"\ufb01": "fi", "\uff21": "A", "\uff22": "B", "\u00a0": " ", "\u3000": " ", "\u2044": "/", "\u00ad": ""}


def symbols():
    """Printable stand-ins for bytes, by byte: printable ones for themselves, the rest from U+0100 on."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {**{byte: chr(byte) for byte in shown}, **{byte: chr(256 + place) for place, byte in enumerate(hidden)}}


def merges():
    """The pairs that stand together most often, again and again; ties go to the first in order."""
    counts = collections.Counter(word for line in LINES for word in line.lower().split())
    spelled = {word: [*word[:-1], word[-1] + "</w>"] for word in counts}
    found = []
    while len(found) < MERGES:
        pairs = collections.Counter()
        for word, parts in spelled.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += counts[word]
        if not pairs:
            raise SystemExit("the lines hold too few pairs")
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        found.append(best)
        for parts in spelled.values():
            place = 0
            while place + 1 < len(parts):
                if (parts[place], parts[place + 1]) == best:
                    parts[place : place + 2] = ["".join(best)]
                place += 1
    return found


def write_clip(folder, pad):
    folder.mkdir(parents=True, exist_ok=True)
    single, pairs = list(symbols().values()), merges()
    words = single + [symbol + "</w>" for symbol in single] + ["".join(pair) for pair in pairs]
    words += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    assert len(vocabulary) == len(words), "two merges give the same word"
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in pairs))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "CLIPTokenizer", "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>", "pad_token": pad, "model_max_length": 77, "do_lower_case": True}, indent=1))
    return len(words)


def read_clip(folder):
    vocabulary = json.loads((folder / "vocab.json").read_text())
    pairs = [tuple(line.split(" ")) for line in (folder / "merges.txt").read_text().splitlines()[1:]]
    pad = json.loads((folder / "tokenizer_config.json").read_text())["pad_token"]
    return CLIPTokenizer(vocab=vocabulary, merges=pairs, pad_token=pad, model_max_length=77)


def write_t5(folder, size=256):
    folder.mkdir(parents=True, exist_ok=True)
    rules = folder / "rules.tsv"
    hexed = lambda text: " ".join(f"{ord(character):x}" for character in text)
    rules.write_text("".join(f"{hexed(old)}\t{hexed(new)}\n" for old, new in CHARACTERS.items()))
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES * 30), model_writer=model, vocab_size=size, model_type="unigram", pad_id=0, eos_id=1,
        unk_id=2, bos_id=-1, hard_vocab_limit=False, normalization_rule_tsv=str(rules), minloglevel=2, num_threads=1)
    rules.unlink()
    trained = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    pieces = [(piece.piece, piece.score) for piece in trained.pieces]
    tokenizer = T5Tokenizer(
        vocab=pieces, _spm_precompiled_charsmap=trained.normalizer_spec.precompiled_charsmap, extra_ids=0,
        model_max_length=512)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>",
        "extra_ids": 0, "model_max_length": 512}, indent=1))
    return len(pieces)


def read_t5(folder):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        model_max_length=512)


def write(folder):
    """The three folders, named as diffusers names them. The sizes of the vocabularies of CLIP and T5."""
    clip = write_clip(folder / "tokenizer", "<|endoftext|>")
    write_clip(folder / "tokenizer_2", "!")
    t5 = write_t5(folder / "tokenizer_3")
    for path in folder.glob("*/*.json"):
        path.write_text(path.read_text().rstrip("\n") + "\n")
    return clip, t5


def read(folder):
    return read_clip(folder / "tokenizer"), read_clip(folder / "tokenizer_2"), read_t5(folder / "tokenizer_3")


if __name__ == "__main__":
    import pathlib, sys

    folder = pathlib.Path(sys.argv[1])
    print(write(folder))
    for tokenizer in read(folder):
        print(tokenizer("A\u00a0ﬁsh \uff21 isn't 42% café <|endoftext|> 🐟 naïve  x</s>").input_ids)
