#!/usr/bin/env python3
"""Draws weight_axis.ttf: a font with one letter, a box that is 200 wide at weight 400 and 600 at 700.

    pip install fonttools==4.68.0 && python3 weight_axis.py
"""

import os
from pathlib import Path

os.environ["SOURCE_DATE_EPOCH"] = "0"
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib.tables.TupleVariation import TupleVariation

pen = TTGlyphPen(None)
pen.moveTo((0, 0))
pen.lineTo((0, 700))
pen.lineTo((200, 700))
pen.lineTo((200, 0))
pen.closePath()
box = pen.glyph()
font = FontBuilder(1000, isTTF=True)
font.setupGlyphOrder([".notdef", "I"])
font.setupCharacterMap({ord("I"): "I"})
font.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "I": box})
font.setupHorizontalMetrics({".notdef": (500, 0), "I": (700, 0)})
font.setupHorizontalHeader(ascent=800, descent=-200)
font.setupNameTable({"familyName": "Weight Axis", "styleName": "Regular", "fullName": "Weight Axis"})
font.setupOS2()
font.setupPost()
font.setupFvar([("wght", 400, 400, 700, "Weight")], [])
# Deltas of the four points and of the four metrics that follow them.
widen = [(0, 0), (0, 0), (400, 0), (400, 0), (0, 0), (0, 0), (0, 0), (0, 0)]
font.setupGvar({"I": [TupleVariation({"wght": (0.0, 1.0, 1.0)}, widen)]})
font.save(Path(__file__).with_name("weight_axis.ttf"))
