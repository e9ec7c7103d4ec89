#!/usr/bin/env python3
"""Fills authors and outlines into icons.txt (see README.md).

usage: cut.py ICONS_JSON AUTHORS < lines > icons.txt

`lines` holds `name|author|kind|stance|words|path`; author and path may be empty and are made anew.
ICONS_JSON is `icons.json` of the npm package @iconify-json/game-icons.
AUTHORS is the output of `git ls-tree -r --name-only HEAD` in github.com/game-icons/icons.

Paths come out as SVG data of `m l c q z` alone, relative, in tenths of a unit of the 512 box:
arcs and shorthands are resolved here, so that the program needs neither trigonometry nor a full parser.
"""
import json, math, re, sys

TOKEN = re.compile(r"([MmLlHhVvCcSsQqTtAaZz])|(-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?)")
COUNT = dict(M=2, L=2, H=1, V=1, C=6, S=4, Q=4, T=2, A=7)


def arc(p, rx, ry, rot, large, sweep, q):
    """An SVG arc as cubics (SVG 1.1, F.6.5)."""
    if p == q: return []
    rx, ry = abs(rx), abs(ry)
    if rx == 0 or ry == 0: return [("C", *p, *q, *q)]
    c, s = math.cos(math.radians(rot)), math.sin(math.radians(rot))
    dx, dy = (p[0] - q[0]) / 2, (p[1] - q[1]) / 2
    x, y = c * dx + s * dy, -s * dx + c * dy
    grow = math.sqrt(max(1, x * x / rx / rx + y * y / ry / ry))
    rx, ry = rx * grow, ry * grow
    k = math.sqrt(max(0, (rx * ry) ** 2 / ((rx * y) ** 2 + (ry * x) ** 2) - 1)) * (-1 if large == sweep else 1)
    cx, cy = k * rx * y / ry, -k * ry * x / rx
    a = math.atan2((y - cy) / ry, (x - cx) / rx)
    d = math.atan2((-y - cy) / ry, (-x - cx) / rx) - a
    if sweep and d < 0: d += 2 * math.pi
    if not sweep and d > 0: d -= 2 * math.pi
    n = max(1, math.ceil(abs(d) / (math.pi / 2) - 1e-9))
    t = 4 / 3 * math.tan(d / n / 4)
    mx, my = (p[0] + q[0]) / 2, (p[1] + q[1]) / 2
    at = lambda u, v: (c * (cx + rx * u) - s * (cy + ry * v) + mx, s * (cx + rx * u) + c * (cy + ry * v) + my)
    out = []
    for i in range(n):
        b, e = a + d * i / n, a + d * (i + 1) / n
        out.append(("C", *at(math.cos(b) - t * math.sin(b), math.sin(b) + t * math.cos(b)),
                    *at(math.cos(e) + t * math.sin(e), math.sin(e) - t * math.cos(e)), *at(math.cos(e), math.sin(e))))
    return out


def numbers(text):
    """Tokens of path data; flags of arcs may be glued to what follows."""
    i, command, n, out = 0, "", 0, []
    while i < len(text):
        if text[i] in " ,\n\t": i += 1; continue
        if command in "Aa" and command and n % 7 in (3, 4) and text[i] in "01":
            out.append(float(text[i])); i += 1; n += 1; continue
        m = TOKEN.match(text, i)
        if m.group(1): command, n = m.group(1), 0; out.append(command)
        else: n += 1; out.append(float(m.group(2)))
        i = m.end()
    return out


def absolute(text):
    tokens, i, p, start, out, last, command = numbers(text), 0, (0, 0), (0, 0), [], None, ""
    while i < len(tokens):
        if isinstance(tokens[i], str): command = tokens[i]; i += 1
        up = command.upper()
        if up == "Z": out.append(("Z",)); p, last = start, None; continue
        a = tokens[i:i + COUNT[up]]; i += COUNT[up]
        o = p if command.islower() else (0, 0)
        if up == "A":
            q = (a[5] + o[0], a[6] + o[1])
            out += arc(p, a[0], a[1], a[2], a[3], a[4], q); p, last = q, None; continue
        if up == "H": a = [a[0] + o[0], p[1]]
        elif up == "V": a = [p[0], a[0] + o[1]]
        else: a = [v + o[k % 2] for k, v in enumerate(a)]
        if up in "ST":
            c = (2 * p[0] - last[1], 2 * p[1] - last[2]) if last and last[0] == {"S": "C", "T": "Q"}[up] else p
            a = [*c, *a]; up = {"S": "C", "T": "Q"}[up]
        if up in "HV": up = "L"
        p = (a[-2], a[-1]); last = None
        if up in "CQ": last = (up, a[-4], a[-3])
        if up == "M": start = p; command = "l" if command == "m" else "L"
        out.append((up, *a))
    return out


def relative(segments):
    out, p, start, last = [], (0, 0), (0, 0), ""
    for up, *a in segments:
        if up == "Z": out.append("z"); p, last = start, "z"; continue
        a = [round(v * 10) for v in a]
        if up == "M": start = (a[-2], a[-1])
        words = [v - p[k % 2] for k, v in enumerate(a)]
        p = (a[-2], a[-1])
        if up == "L" and words == [0, 0]: continue
        text = "".join((str(v) if v < 0 else " " + str(v)) for v in words)
        out.append(text if up.lower() == last else up.lower() + text.strip()); last = up.lower()
    return "".join(out)


# Folders whose author's name is not the folder's words with capitals.
AUTHORS = {"andymeneely": "Andy Meneely", "darkzaitzev": "DarkZaitzev", "heavenly-dog": "HeavenlyDog", "lucasms": "Lucas", "priorblue": "PriorBlue",
           "john-colburn": "John Colburn", "various-artists": "various artists"}


def main():
    icons = json.load(open(sys.argv[1]))["icons"]
    authors = {}
    for line in open(sys.argv[2]):
        part = line.strip().split("/")
        if len(part) == 2 and part[1].endswith(".svg"):
            name = AUTHORS.get(part[0], " ".join(w.capitalize() for w in part[0].split("-")))
            if part[0] != "badges": authors.setdefault(part[1][:-4], name)
    out = []
    for line in sys.stdin:
        if not line.strip(): continue
        name, _, kind, stance, words, _ = line.rstrip("\n").split("|")
        if name not in icons or name not in authors: print("no icon", name, file=sys.stderr); continue
        path = "".join(relative(absolute(d)) for d in re.findall(r' d="([^"]+)"', icons[name]["body"]))
        out.append("|".join([name, authors[name], kind, stance, words, path]))
    print("\n".join(sorted(out)))


main()
