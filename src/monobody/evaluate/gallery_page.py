"""A page of many people, sorted, that one can scroll and filter: by a range of numbers, by groups, by name.

Every person's data lies in the page as JSON; the pictures lie beside it and are loaded when they come into sight. With
the keyboard: arrows go from person to person, Enter opens one, Escape closes it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from monobody.evaluate.page import embedded, page, text

_STYLE = """
body { max-width: none; }
.controls { position: sticky; top: 0; z-index: 2; display: flex; flex-wrap: wrap; gap: .5rem .9rem; align-items: end;
  padding: .6rem 0; background: var(--paper); border-bottom: 1px solid var(--line); }
.controls label { display: grid; font-size: .78rem; color: var(--faint); }
.controls input, .controls select { font: inherit; font-size: .92rem; padding: .25rem .4rem; color: var(--ink);
  background: var(--panel); border: 1px solid var(--line); border-radius: 5px; max-width: 11rem; }
.controls input[type=number] { width: 6rem; }
#shown { margin-left: auto; font-variant-numeric: tabular-nums; color: var(--faint); }
#grid { display: grid; gap: .7rem; margin-top: .9rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--tile)), 1fr)); }
#grid button { all: unset; box-sizing: border-box; cursor: pointer; display: block; min-width: 0;
  background: var(--panel); border: 1px solid var(--line); border-radius: 7px; overflow: hidden; }
#grid button:focus-visible { outline: 3px solid var(--accent); }
#grid img { display: block; width: 100%; height: auto; object-fit: cover; background: var(--shade); }
#grid.middle img { aspect-ratio: 1; }
#grid span, #grid b { display: block; padding: 0 .5rem; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }
#grid b { padding-top: .2rem; font-size: .9rem; font-variant-numeric: tabular-nums; }
#grid span { color: var(--faint); font-size: .8rem; padding-bottom: .35rem; }
dialog { border: 1px solid var(--line); border-radius: 10px; background: var(--paper); color: var(--ink); padding: 1rem;
  width: min(96vw, 74rem); }
dialog::backdrop { background: rgb(0 0 0 / .6); }
dialog img { width: 100%; height: auto; border-radius: 5px; }
dialog .tiles { display: flex; color: var(--faint); font-size: .8rem; }
dialog .tiles span { flex: 1; text-align: center; }
dialog nav { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; margin-bottom: .7rem; }
dialog h2 { margin: 0 auto 0 0; overflow-wrap: anywhere; }
#large-numbers { grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .2rem 2.5rem; }
#large-numbers div { display: flex; justify-content: space-between; gap: 1rem; border-bottom: 1px solid var(--line); }
#large-numbers dd { text-align: right; margin: 0; }
@media (max-width: 40rem) { .controls { position: static; } }
dialog nav button { font: inherit; padding: .3rem .8rem; color: var(--ink); background: var(--panel);
  border: 1px solid var(--line); border-radius: 5px; cursor: pointer; }
"""

_SCRIPT = """
const data = JSON.parse(document.getElementById("people").textContent);
const grid = document.getElementById("grid"), more = document.getElementById("more");
const large = document.querySelector("dialog"), field = name => document.getElementById(name);
const AT_ONCE = 96;
let chosen = [], drawn = 0, open = 0;
const element = (kind, content) => {
  const made = document.createElement(kind);
  if (content !== undefined) made.textContent = content;
  return made;
};
function choose() {
  const words = field("name").value.toLowerCase().split(/\\s+/).filter(Boolean);
  const number = id => field(id).value === "" ? null : Number(field(id).value);
  const [low, high] = [number("low"), number("high")];
  const groups = [...document.querySelectorAll("select[data-group]")].filter(each => each.value !== "");
  chosen = data.people.filter(one =>
    (low === null || (one.value !== null && one.value >= low))
    && (high === null || (one.value !== null && one.value <= high))
    && words.every(word => one.name.toLowerCase().includes(word))
    && groups.every(each => one.groups[each.dataset.group] === each.value));
  const sign = {up: 1, down: -1}[field("sort").value];
  if (sign) chosen.sort((a, b) => (a.value === null) - (b.value === null) || sign * (a.value - b.value));
  const known = chosen.filter(one => one.value !== null);
  const sum = known.reduce((sum, one) => sum + one.value, 0);
  const mean = known.length ? `, mean ${(sum / known.length).toFixed(data.digits)}` : "";
  const [some, all] = [chosen, data.people].map(each => each.length.toLocaleString("en"));
  field("shown").textContent = `${some} of ${all} people${mean}`;
  grid.replaceChildren();
  drawn = 0;
  draw();
}
function draw() {
  for (const one of chosen.slice(drawn, drawn + AT_ONCE)) {
    const tile = element("button"), picture = element("img"), place = drawn++;
    tile.type = "button";
    picture.loading = "lazy";
    picture.decoding = "async";
    picture.width = data.width; picture.height = data.height;
    picture.alt = one.name;
    picture.src = one.picture;
    tile.append(picture, element("b", one.label), element("span", one.name));
    tile.title = one.name;
    tile.addEventListener("click", () => show(place));
    grid.append(tile);
  }
  more.hidden = drawn >= chosen.length;
}
function show(place) {
  while (place >= drawn && drawn < chosen.length) draw();
  open = Math.min(Math.max(place, 0), chosen.length - 1);
  const one = chosen[open];
  if (!one) return;
  field("large").src = one.picture;
  field("large").alt = one.name;
  field("large-name").textContent = one.name;
  const pairs = Object.entries({...one.numbers, ...one.groups});
  const said = pairs.map(([key, value]) => {
    const both = element("div");
    both.append(element("dt", key), element("dd", value));
    return both;
  });
  field("large-numbers").replaceChildren(...said);
  if (!large.open) large.showModal();
}
large.addEventListener("close", () => grid.children[open]?.focus());
field("before").addEventListener("click", () => show(open - 1));
field("after").addEventListener("click", () => show(open + 1));
field("close").addEventListener("click", () => large.close());
document.addEventListener("keydown", event => {
  if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
  const step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns}[event.key];
  if (!step) return;
  if (large.open) { show(open + Math.sign(step)); event.preventDefault(); return; }
  const now = [...grid.children].indexOf(document.activeElement);
  if (now < 0 && Math.abs(step) > 1) return;   // Nobody is chosen yet: let the page scroll.
  const next = now < 0 ? 0 : now + step;
  if (next >= drawn) draw();
  if (grid.children[next]) { grid.children[next].focus(); event.preventDefault(); }
});
const controls = document.querySelectorAll(".controls input:not(#whole), .controls select");
for (const each of controls) each.addEventListener("input", choose);
field("whole")?.addEventListener("input", event => {
  grid.classList.toggle("middle", !event.target.checked);
  grid.style.setProperty("--tile", event.target.checked ? "26rem" : data.tile);
});
new IntersectionObserver(entries => { if (entries.some(each => each.isIntersecting)) draw(); },
  {rootMargin: "1200px"}).observe(more);
choose();
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One person of a page."""

    name: str
    picture: str
    """Path of a strip of tiles, from the page."""
    value: float
    """By which people are sorted and filtered; NaN where there is none."""
    label: str
    """The value for readers."""
    numbers: Mapping[str, str] = field(default_factory=dict)
    """More of them by their names."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """What the person belongs to, by the kind of group."""


def gallery_page(
    title: str,
    introduction: Sequence[str],
    items: Sequence[Item],
    *,
    tiles: Sequence[str],
    tile_px: int,
    by: str,
    digits: int,
    worst_first: str,
    only_tile: bool,
) -> str:
    """Return the page.

    Args:
        title: plain text.
        introduction: plain paragraphs.
        items: everybody, in the order of the data set.
        tiles: what each tile of a strip shows, from left to right.
        tile_px: side of a tile.
        by: name of the value, unit included.
        digits: of its mean.
        worst_first: "up" or "down": in which direction the page is sorted at first.
        only_tile: whether the grid shows the middle tile alone, until one asks for the whole strips.
    """
    kinds = list(dict.fromkeys(kind for item in items for kind in item.groups))
    selects = []
    for kind in kinds:
        names = sorted({item.groups[kind] for item in items if kind in item.groups})
        options = "".join(f'<option value="{text(name)}">{text(name)}</option>' for name in names)
        select = f'<select data-group="{text(kind)}"><option value="">all</option>{options}</select>'
        selects.append(f"<label>{text(kind)}{select}</label>")
    directions = {"down": "largest first", "up": "smallest first", "": "as in the data set"}
    sort = "".join(
        f'<option value="{key}"{" selected" * (key == worst_first)}>{said}</option>' for key, said in directions.items()
    )
    whole = '<label>whole strips<input type="checkbox" id="whole"></label>' if only_tile else ""
    tile = "10rem" if only_tile else "32rem"
    data = {
        "digits": digits,
        "width": tile_px * (1 if only_tile else len(tiles)),
        "height": tile_px,
        "tile": tile,
        "people": [
            {
                "name": item.name,
                "picture": item.picture,
                "value": item.value if math.isfinite(item.value) else None,
                "label": item.label,
                "numbers": dict(item.numbers),
                "groups": dict(item.groups),
            }
            for item in items
        ],
    }
    content = f"""<h1>{text(title)}</h1>
{"".join(f"<p>{text(paragraph)}</p>" for paragraph in introduction)}
<div class="controls">
<label>sorted<select id="sort">{sort}</select></label>
<label>{text(by)} from<input type="number" id="low" step="any"></label>
<label>to<input type="number" id="high" step="any"></label>
{"".join(selects)}
<label>name<input type="search" id="name" placeholder="part of it"></label>
{whole}<output id="shown"></output></div>
<div id="grid" class="{"middle" if only_tile else ""}" style="--tile: {tile}"></div><div id="more">...</div>
<dialog aria-labelledby="large-name"><nav><h2 id="large-name"></h2>
<button type="button" id="before">&larr; before</button><button type="button" id="after">after &rarr;</button>
<button type="button" id="close">close</button></nav><img id="large" alt="">
<div class="tiles">{"".join(f"<span>{text(tile)}</span>" for tile in tiles)}</div><dl id="large-numbers"></dl></dialog>
<noscript><p>This page needs its own script to sort and filter.</p></noscript>
{embedded("people", data)}"""
    return page(title, content, script=_SCRIPT, style=_STYLE, pictures_beside=True)
