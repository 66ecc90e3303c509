"""Line plots as SVG: panels above one another over one axis."""
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, GAP = 760, 150, 70, 170, 40, 44
COLOURS = ["#1f5fa8", "#c2571a", "#3b7d3b", "#7a4fa3"]


@dataclass
class Panel:
    title: str
    lines: dict  # name -> values, one for each place on the axis


def nice(most):
    """A round number at or above `most`."""
    step = 1.0
    while step * 10 < most:
        step *= 10
    while step > most > 0:
        step /= 10
    return next((step * factor for factor in (1, 2, 2.5, 5, 10) if step * factor >= most), step)


def text(x, y, words, anchor="start", size=12, colour="#333"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{colour}">{escape(words)}</text>')


def draw_panel(panel, places, top):
    most = nice(max(max(values) for values in panel.lines.values()))
    span = places[-1] or 1
    width = WIDTH - LEFT - RIGHT
    out = [text(LEFT, top - 8, panel.title, size=13)]
    for part in (0, 0.5, 1):
        y = top + HEIGHT * (1 - part)
        out.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + width}" y2="{y:.1f}" '
                   f'stroke="#ddd"/>')
        out.append(text(LEFT - 8, y + 4, f"{most * part:g}", "end"))
    for index, (name, values) in enumerate(panel.lines.items()):
        points = " ".join(
            f"{LEFT + width * place / span:.1f},{top + HEIGHT * (1 - value / most):.1f}"
            for place, value in zip(places, values))
        colour = COLOURS[index % len(COLOURS)]
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" '
                   f'stroke-width="1.5"/>')
        out.append(text(LEFT + width + 10, top + 16 + 18 * index, name, colour=colour))
    return out


def write_svg(path, title, places, unit, panels):
    height = TOP + len(panels) * (HEIGHT + GAP) + 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'font-family="sans-serif">', f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           text(12, 20, title, size=13)]
    for index, panel in enumerate(panels):
        out += draw_panel(panel, places, TOP + 24 + index * (HEIGHT + GAP))
    bottom = TOP + len(panels) * (HEIGHT + GAP) - 2
    width = WIDTH - LEFT - RIGHT
    for part in (0, 0.25, 0.5, 0.75, 1):
        out.append(text(LEFT + width * part, bottom, f"{places[-1] * part:.0f}", "middle"))
    out.append(text(LEFT + width + 10, bottom, unit))
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n</svg>\n")
