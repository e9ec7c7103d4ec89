#!/usr/bin/env python3
"""Cuts the packaged fonts out of Noto.

    pip install fonttools==4.68.0
    python3 subset.py [source folder ...]

Sources are looked for in Debian's font folders unless others are named.
The outcome depends only on the sources and on fonttools, so a second run gives the same bytes.
"""

import os
import sys
from pathlib import Path

from fontTools import subset

os.environ["SOURCE_DATE_EPOCH"] = "0"
HERE = Path(__file__).resolve().parent
SOURCES = [Path(p) for p in sys.argv[1:]] or [
    Path("/usr/share/fonts/truetype/noto"),
    Path("/usr/share/fonts/opentype/noto"),
]

# Marks, joining, conjuncts, kerning, local forms: what shaping needs. No stylistic sets, no vertical writing.
FEATURES = (
    "ccmp locl rlig calt liga clig kern dist mark mkmk abvm blwm curs "
    "isol init medi fina med2 fin2 fin3 "
    "nukt akhn rphf rkrf pref blwf abvf half pstf vatu cjct haln pres abvs blws psts "
    "ljmo vjmo tjmo"
).split()


def span(first, last):
    return set(range(first, last + 1))


ASCII = span(0x20, 0x7E)
# Letters with accents, spaces, dashes, quotes and signs that any script may meet.
COMMON = ASCII | span(0xA0, 0xFF) | span(0x2010, 0x2027) | {0x2030, 0x2032, 0x2033, 0x2039, 0x203A, 0x203B} | {
    ord(c) for c in "€₩¥™№"
}
SYMBOLS = {ord(c) for c in "←↑→↓↔↕⇒⇔∞−×÷≈≠≤≥√■□▲△▶▷▼▽◀◁◆◇○◎●★☆♠♡♢♣♤♥♦♧♪♫♬✓✔✕✖❤①②③④⑤⑥⑦⑧⑨⑩"}
LATIN = (
    COMMON | span(0x0100, 0x024F) | {0x0259, 0x02BB, 0x02BC} | span(0x02C6, 0x02DD) | span(0x0300, 0x036F)
    | span(0x0370, 0x03FF) | span(0x1F00, 0x1FFF)           # Greek and polytonic Greek
    | span(0x0400, 0x052F)                                  # Cyrillic
    | span(0x1E00, 0x1EFF)                                  # Vietnamese and other Latin
    | span(0x2000, 0x206F) | span(0x2070, 0x209C) | span(0x20A0, 0x20BF) | span(0x2100, 0x218B)
    | {0x2212, 0x2260, 0x2264, 0x2265, 0x221E, 0x25CC}
)
# Joiners and direction marks ride along with every script.
CONTROLS = span(0x200B, 0x200F) | span(0x202A, 0x202E) | span(0x2066, 0x2069) | {0x2060, 0xFEFF, 0x25CC}
ARABIC = ASCII | CONTROLS | span(0x0600, 0x06FF) | span(0x0750, 0x077F) | {0xA0, 0xAB, 0xBB}
HEBREW = ASCII | CONTROLS | span(0x0590, 0x05FF) | span(0xFB1D, 0xFB4F) | {0xA0, 0x20AA}
DEVANAGARI = ASCII | CONTROLS | span(0x0900, 0x097F) | span(0x1CD0, 0x1CFF) | span(0xA8E0, 0xA8FF) | {0xA0, 0x20B9}
THAI = ASCII | CONTROLS | span(0x0E00, 0x0E7F) | {0xA0}

CJK_SIGNS = span(0x3000, 0x303F) | span(0xFF01, 0xFF60) | span(0xFFE0, 0xFFE6) | {0x2014, 0x2015, 0x2500, 0x00B7}
KANA = span(0x3041, 0x30FF) | span(0x31F0, 0x31FF) | span(0xFF61, 0xFF9F)


def rows(codec, first, last):
    """Characters of rows (ku) `first` to `last` of a 94x94 set in its EUC form."""
    found = set()
    for row in range(first, last + 1):
        for cell in range(1, 95):
            try:
                found |= {ord(c) for c in bytes([0xA0 + row, 0xA0 + cell]).decode(codec)}
            except UnicodeDecodeError:
                pass
    return found


# Characters outside the first levels that everyday lists and names of games still use.
MORE_JAPANESE = {ord(c) for c in (
    "丼俺傲刹哺喩嗅嘲埒堆塞填頬宛尻崖嵐巾弄彙怨恣惧慄憬拉拭挫挨拶捉捗摯旺昧曖枕柿栃桁梗楷毀氾汎沙沃湧潰煎爪狙瑠璃璧瓦"
    "畏畿痕痩瘍眉睦瞳瞭稽窟箋箸籠綻緻罵羞羨肘股脇脊腎腫腺膝膳臆臼艶芯苛茨萎葛蓋蔑蔽藍藤虎虹蜂蜜袖裾訃詣詮誰諦諧謎貌貪貼賂賭"
    "踪蹴辣遜遡酎醒釜錦錮鍋鍵鎌闇隙韓頃須頓頰餅餌駒骸鬱鶴鹿麓麺黎凰麒麟龐鵺弩戮殲滅刃煌焔燐猩獄魁魔魍魎魑鵬鸞蛟梟狗狼狐狸貂"
    "齟齬饗宴饕餮覇鎧鍔鋒錬劔剱戟矛盾弓矢砦牢櫓曼荼羅奈落彷徨邂逅黄昏暁曙宵闇翠碧蒼緋朧幽冥冥府霞霧霹靂雫雹颶颯"
)}
MORE_CHINESE = {ord(c) for c in (
    "麒麟凰饕餮璀璨魑魅魍魉鸢鹏鲲骁骋驭驰鏖戮殇觞冥翊翎烬煜煌熠曦曜晗晖旌旖旎昙暝朦胧琉璃璎珞瑶琼珑玲瓏琥珀"
    "墟垠弑弩戟戬殛氤氲淼渊溟潇湮澜濯炽焱燧猎獠獬豸瘴瞑穹窥筱箜篌簌绮缈缥罡羿翡翠耄聿胤舜芙蓉苍茗荼蔷薇蘑菇虬蛟螭蟠裔觅"
    "诡谛谧谲豹貔貅邃邺酆醍醐铠铸锏锵镖镰阙隼霁霄霓霹雳靥韬颠飒馐骷髅髓魇鸾黯龇"
)}

JAPANESE = COMMON | SYMBOLS | CJK_SIGNS | KANA | rows("euc_jp", 1, 8) | rows("euc_jp", 16, 47) | MORE_JAPANESE
CHINESE = COMMON | SYMBOLS | CJK_SIGNS | rows("gb2312", 1, 3) | rows("gb2312", 16, 55) | MORE_CHINESE
# The hanja that KS X 1001 shares with JIS level 1: the common ones.
HANJA = rows("euc_kr", 42, 93) & rows("euc_jp", 16, 47)
KOREAN = COMMON | SYMBOLS | CJK_SIGNS | span(0x3131, 0x318E) | rows("euc_kr", 1, 3) | rows("euc_kr", 16, 40) | HANJA

# Out file, source file, number within a collection, characters.
CUTS = [
    (f"{out}-{weight}", f"{source}-{weight}", number, characters)
    for weight in ("Regular", "Bold")
    for out, source, number, characters in [
        ("NotoSans", "NotoSans", None, LATIN),
        ("NotoSansArabic", "NotoSansArabic", None, ARABIC),
        ("NotoSansHebrew", "NotoSansHebrew", None, HEBREW),
        ("NotoSansDevanagari", "NotoSansDevanagari", None, DEVANAGARI),
        ("NotoSansThai", "NotoSansThai", None, THAI),
        ("NotoSansCJKjp", "NotoSansCJK", 0, JAPANESE),
        ("NotoSansCJKkr", "NotoSansCJK", 1, KOREAN),
        ("NotoSansCJKsc", "NotoSansCJK", 2, CHINESE),
    ]
]


def source_file(stem):
    for folder in SOURCES:
        for ending in (".ttf", ".otf", ".ttc"):
            if (folder / (stem + ending)).exists():
                return folder / (stem + ending)
    sys.exit(f"no {stem} in {', '.join(map(str, SOURCES))}")


def cut(out, source, number, characters):
    options = subset.Options()
    options.layout_features = FEATURES
    options.hinting = False
    options.glyph_names = False
    options.notdef_outline = True
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    options.drop_tables += ["DSIG", "VORG", "vhea", "vmtx", "BASE", "meta"]
    options.recalc_timestamp = False
    if number is not None:
        options.font_number = number
    path = source_file(source)
    font = subset.load_font(str(path), options, lazy=True)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=characters)
    cutter.subset(font)
    target = HERE / (out + (".otf" if "CFF " in font else ".ttf"))
    subset.save_font(font, str(target), options)
    print(f"{target.name}: {target.stat().st_size:,} bytes, {len(font.getBestCmap())} characters")


for row in CUTS:
    cut(*row)
