# SPDX-License-Identifier: BSD-2-Clause
"""Charts as SVG text: lines over two axes, and bars of parts.  Pure; colours are classes of the page around them.

Every series has a colour, a shape and a dash of its own, so that ten can be told apart without colour too."""
import math
from html import escape

WIDTH, HEIGHT = 720, 340
LEFT, RIGHT, TOP, BOTTOM = 74, 150, 16, 52      # margins; the legend stands in the right one
ROW = 26                                        # height of a bar and its gap
SERIES = ("epoll", "epoll-level", "poll", "select", "nonblocking", "blocking", "sigio", "aio", "io_uring", "floor")
DASHES = ("", "7 3", "", "2 3", "9 3 2 3", "", "4 3", "", "", "2 4")
SHAPES = "osdtvxosdx"


def number(value):
    """As people write it: 1,234 and 12.3 and 0.0123; three digits that mean something."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}".rstrip("0").rstrip(".")
    if size >= 1:
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{value:.3g}"


def short(value):
    """For ticks: 10k, 2M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def log_ticks(low, high):
    """Powers of ten, and with few of them 2 and 5 times these."""
    decades = math.log10(high / low)
    steps = (1, 2, 5) if decades <= 2.7 else (1,)
    first = math.floor(math.log10(low))
    made = [s * 10.0 ** e for e in range(first, math.ceil(math.log10(high)) + 1) for s in steps]
    return [t for t in made if low * 0.999 <= t <= high * 1.001]


def linear_ticks(high, about=5):
    """From 0 in steps of 1, 2 or 5."""
    if high <= 0:
        return [0]
    raw = high / about
    size = 10 ** math.floor(math.log10(raw))
    step = next(s * size for s in (1, 2, 5, 10) if s * size >= raw * 0.999)
    return [i * step for i in range(int(high / step + 1e-9) + 1)]


class Scale:
    """From values to pixels."""

    def __init__(self, low, high, begin, end, log):
        self.low, self.high, self.log = low, high, log
        self._begin, self._end = begin, end

    def at(self, value):
        if self.log:
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return self._begin + part * (self._end - self._begin)

    def ticks(self):
        return log_ticks(self.low, self.high) if self.log else linear_ticks(self.high)


def apart(ticks, scale, letter=6.6, gap=3):
    """[(value, label)] without those whose label would touch the one before."""
    made, end = [], -math.inf
    for value, label in ticks:
        half = letter * len(label) / 2
        if scale.at(value) - half >= end + gap:
            made.append((value, label))
            end = scale.at(value) + half
    return made


def log_room(values):
    """Ends of a logarithmic axis around these values, with a little air."""
    low, high = min(values), max(values)
    if high / low < 1.5:
        low, high = low / 1.5, high * 1.5
    return low / 1.15, high * 1.15


def marker(shape, x, y, css):
    """The mark of a point."""
    if shape == "o":
        return f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
    paths = {"s": "M-3.2-3.2h6.4v6.4h-6.4z", "d": "M0-4.6L4.6 0L0 4.6L-4.6 0z", "t": "M0-4.4L4.2 3.2H-4.2z",
             "v": "M0 4.4L4.2-3.2H-4.2z", "x": "M-3.4-3.4L3.4 3.4M-3.4 3.4L3.4-3.4"}
    return f'<path class="{css}" d="{paths[shape]}" transform="translate({x:.1f} {y:.1f})"/>'


def _style(name):
    at = SERIES.index(name) if name in SERIES else len(SERIES) - 1
    dash = f' stroke-dasharray="{DASHES[at]}"' if DASHES[at] else ""
    return f"c{at}", SHAPES[at], dash


def _frame(x, y, x_label, y_label, x_ticks=None):
    """Grid, ticks and names of the axes."""
    out = []
    for value in y.ticks():
        at = y.at(value)
        out.append(f'<line class="grid" x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}"/>'
                   f'<text class="tick" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{short(value)}</text>')
    for value, label in x_ticks or [(v, short(v)) for v in x.ticks()]:
        at = x.at(value)
        out.append(f'<line class="grid" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{HEIGHT - BOTTOM}"/>'
                   f'<text class="tick" x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{escape(label)}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    out.append(f'<line class="axis" x1="{LEFT}" y1="{HEIGHT - BOTTOM}" x2="{WIDTH - RIGHT}" y2="{HEIGHT - BOTTOM}"/>'
               f'<text class="label" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">'
               f'{escape(x_label)}</text>'
               f'<text class="label" transform="translate(16 {middle:.0f}) rotate(-90)" text-anchor="middle">'
               f'{escape(y_label)}</text>')
    return out


def _legend(names):
    out = []
    for row, name in enumerate(names):
        css, shape, dash = _style(name)
        x, y = WIDTH - RIGHT + 16, TOP + 12 + 22 * row
        out.append(f'<line class="line {css}" x1="{x}" y1="{y}" x2="{x + 26}" y2="{y}"{dash}/>'
                   + marker(shape, x + 13, y, f"mark {css}") +
                   f'<text class="name" x="{x + 34}" y="{y + 4}">{escape(name)}</text>')
    return out


def _open(width, height, title):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="{escape(title, quote=True)}"><title>{escape(title)}</title>')


def lines(title, x_label, y_label, series, x_ticks=None, marks=True):
    """series: [(name, [(x, y, low, high)])]; both axes are logarithmic, values below or at 0 are left out.

    low and high, where they are not None, become a thin bar: the spread of the rounds."""
    series = [(name, [p for p in points if p[0] > 0 and p[1] > 0]) for name, points in series]
    series = [(name, points) for name, points in series if points]
    if not series:
        return ""
    xs = [p[0] for _, points in series for p in points]
    ys = [v for _, points in series for p in points for v in (p[1], p[2] or p[1], p[3] or p[1]) if v > 0]
    x = Scale(*log_room(xs), LEFT, WIDTH - RIGHT, True)
    y = Scale(*log_room(ys), HEIGHT - BOTTOM, TOP, True)
    ticks = [t for t in x_ticks if x.low <= t[0] <= x.high] if x_ticks else [(v, short(v)) for v in sorted(set(xs))]
    out = [_open(WIDTH, HEIGHT, title), *_frame(x, y, x_label, y_label, apart(ticks, x))]
    for name, points in series:
        css, shape, dash = _style(name)
        path = "\n".join(f"{'M' if i == 0 else 'L'}{x.at(p[0]):.1f} {y.at(p[1]):.1f}" for i, p in enumerate(points))
        out.append(f'<path class="line {css}" d="{path}"{dash}/>')
        for px, py, low, high in points if marks else []:
            at = x.at(px)
            if low and high and high > low > 0:
                out.append(f'<line class="spread {css}" x1="{at:.1f}" y1="{y.at(low):.1f}" x2="{at:.1f}" '
                           f'y2="{y.at(high):.1f}"/>')
            out.append(f'<g><title>{escape(name)}, {number(px)}: {number(py)}</title>'
                       + marker(shape, at, y.at(py), f"mark {css}") + "</g>")
    # The legend follows the ends of the lines, from the top down, so that the eye finds them.
    order = sorted(series, key=lambda s: -s[1][-1][1])
    return "\n".join([*out, *_legend([name for name, _ in order]), "</svg>"])


def bars(title, x_label, rows, parts):
    """rows: [(name, [value of each part])], parts: names of the parts.  One bar a row, its parts behind each other."""
    rows = [(name, values) for name, values in rows if any(values)]
    if not rows:
        return ""
    left, right, top = 104, 90, 12 + 22 * (len(parts) > 1)
    height = top + ROW * len(rows) + 46
    bottom = top + ROW * len(rows) + 4
    most = max(sum(values) for _, values in rows)
    x = Scale(0, most * 1.02, left, WIDTH - right, False)
    out = [_open(WIDTH, height, title)]
    for value in x.ticks():
        at = x.at(value)
        out.append(f'<line class="grid" x1="{at:.1f}" y1="{top}" x2="{at:.1f}" y2="{bottom}"/>'
                   f'<text class="tick" x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{short(value)}</text>')
    for at, part in enumerate(parts if len(parts) > 1 else ()):
        px = left + 150 * at
        out.append(f'<rect class="part{at}" x="{px}" y="6" width="14" height="14"/>'
                   f'<text class="name" x="{px + 20}" y="17">{escape(part)}</text>')
    for row, (name, values) in enumerate(rows):
        y, begin = top + ROW * row + 4, 0.0
        out.append(f'<text class="name" x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>')
        for at, value in enumerate(values):
            width = x.at(begin + value) - x.at(begin)
            out.append(f'<rect class="part{at}" x="{x.at(begin):.1f}" y="{y}" width="{max(width, 0):.1f}" '
                       f'height="{ROW - 8}"><title>{escape(name)}, {escape(parts[at])}: {number(value)}</title></rect>')
            begin += value
        out.append(f'<text class="value" x="{x.at(begin) + 6:.1f}" y="{y + 14}">{number(begin)}</text>')
    out.append(f'<text class="label" x="{(left + WIDTH - right) / 2:.0f}" y="{height - 8}" text-anchor="middle">'
               f'{escape(x_label)}</text></svg>')
    return "\n".join(out)


STYLE = """
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg .tick { fill: var(--soft); font-size: 11px; } svg .label { font-size: 12px; }
svg .grid { stroke: var(--rule); stroke-width: 1; } svg .axis { stroke: var(--soft); }
svg .line { fill: none; stroke-width: 2; } svg .spread { stroke-width: 1; opacity: .6; }
svg .mark { stroke: var(--paper); stroke-width: 1; }
svg .part0 { fill: var(--one); } svg .part1 { fill: var(--two); } svg .part2 { fill: var(--c9); }
""" + "".join(f"svg .line.c{i}, svg .spread.c{i} {{ stroke: var(--c{i}); }} svg .mark.c{i} {{ fill: var(--c{i}); }}\n"
              for i in range(len(SERIES))) + \
    "".join(f"svg path.mark.c{i} {{ stroke: var(--c{i}); stroke-width: 2; fill: none; }}\n"
            for i in range(len(SERIES)) if SHAPES[i] == "x")
