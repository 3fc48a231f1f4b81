// Tells the page around this one what is wrong with how this one looks. Runs in a copy of a report, never in the report.
addEventListener("load", () => {
  const found = [];
  const name = element => {
    const figure = element.closest("figure");
    const caption = figure && figure.querySelector("figcaption");
    return caption ? caption.textContent : element.tagName.toLowerCase();
  };
  const quote = text => "`" + text.trim().slice(0, 40) + "`";
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) found.push(`the page is ${root.scrollWidth} pixels wide`);
  for (const element of document.querySelectorAll("main *")) {
    const box = element.getBoundingClientRect();
    const scrolls = element.closest(".scroll, pre");
    if (box.width && !scrolls && (box.right > innerWidth + 1 || box.left < -1)) {
      found.push(`${quote(name(element))} reaches out of the window`);
    }
  }
  const shown = [...document.querySelectorAll("figure svg")].filter(svg => svg.getBoundingClientRect().width);
  for (const svg of shown) {
    const frame = svg.getBoundingClientRect();
    if (!svg.querySelector("text, rect, polyline, polygon, circle")) found.push(`${quote(name(svg))} is empty`);
    const texts = [...svg.querySelectorAll("text")].map(text => ({
      box: text.getBoundingClientRect(), words: text.textContent, size: parseFloat(getComputedStyle(text).fontSize),
    }));
    for (const { box, words, size } of texts) {
      const out = box.left < frame.left - 1 || box.right > frame.right + 1 ||
        box.top < frame.top - 2 || box.bottom > frame.bottom + 2;
      if (out) found.push(`${quote(words)} is cut off in ${quote(name(svg))}`);
      const pixels = size * frame.width / svg.viewBox.baseVal.width;
      if (pixels < 9) found.push(`${quote(words)} is ${pixels.toFixed(1)} pixels high in ${quote(name(svg))}`);
    }
    texts.forEach((one, index) => texts.slice(index + 1).forEach(other => {
      const wide = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
      const high = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
      if (wide > 2 && high > 4) found.push(`${quote(one.words)} and ${quote(other.words)} overlap in ${quote(name(svg))}`);
    }));
  }
  parent.postMessage({ height: Math.ceil(root.getBoundingClientRect().height), charts: shown.length, found: [...new Set(found)] }, "*");
});
