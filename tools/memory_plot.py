"""A picture of memory over a run, as SVG: what `tools/video/measure_memory.py` and `tools/load/load.py` draw."""

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 340, 70, 50, 20, 50
TEXT = 'font-family="sans-serif" font-size="13" fill="#212529"'
COLOURS = ("#0072B2", "#D55E00")


def draw(title, along, names, samples):
    """`samples` are rows of a place along the run and a number of MiB for each name."""
    last, most = max(row[0] for row in samples) or 1, max(max(row[1:]) for row in samples) * 1.15

    def x(place):
        return LEFT + place / last * (WIDTH - LEFT - RIGHT)

    def y(value):
        return HEIGHT - BOTTOM - value / most * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">']
    parts.append(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/><text x="{LEFT}" y="26" {TEXT}>{title}</text>')
    step = next(step for step in (10, 20, 50, 100, 200, 500, 1000, 5000) if most / step <= 6)
    for value in range(0, int(most) + 1, step):
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#dee2e6"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end" {TEXT}>{value}</text>')
    for part in range(6):
        place = last * part / 5
        parts.append(f'<text x="{x(place):.1f}" y="{HEIGHT - 28}" text-anchor="middle" {TEXT}>{place:.0f}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle" {TEXT}>{along}</text>')
    parts.append(f'<text transform="translate(18 {HEIGHT / 2}) rotate(-90)" text-anchor="middle" {TEXT}>resident MiB</text>')
    for column, (name, colour) in enumerate(zip(names, COLOURS)):
        points = " ".join(f"{x(row[0]):.1f},{y(row[column + 1]):.1f}" for row in samples)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>')
        parts.append(f'<path d="M{LEFT + 110 * column} 40h24" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{LEFT + 110 * column + 30}" y="44" {TEXT}>{name}</text>')
    return "\n".join([*parts, "</svg>\n"])
