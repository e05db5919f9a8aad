/* The plots: drawn by plotly.js when they come into view, coloured like the page, with a cursor that follows the viewer. */
"use strict";
(async function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const viewer = data.scene ? createViewer(document.querySelector(".viewer"), data.scene) : null;
  const film = viewer && data.video ? createFilm(document.querySelector(".film"), data.video, viewer, data.scene.start) : null;
  const times = unpack(data.times), percent = Float32Array.from({ length: 101 }, (_, i) => i);
  const state = { view: {}, perMass: false };

  // plotly.js travels compressed; the browser unpacks it. Without that the page keeps its tables and its 3D view.
  async function loadPlotly() {
    const bytes = bytesFrom(document.getElementById("plotly").textContent);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  let colour = {}, paper = false;
  function readColours() {
    const css = getComputedStyle(document.documentElement), get = (name) => css.getPropertyValue(name).trim();
    colour = { r: get("--right"), l: get("--left"), "": get("--middle"), ink: get("--ink"), soft: get("--soft"), grid: get("--grid"),
      norm: get("--norm"), normline: get("--normline"), poor: get("--poor"), card: get("--card") };
  }
  const fade = (hex, alpha) => {
    const n = parseInt(hex.slice(1), 16);
    return `rgba(${n >> 16},${(n >> 8) & 255},${n & 255},${alpha})`;
  };
  const WORD = { r: "right", l: "left", "": "" };

  const WITHIN = 1.645;  // standard deviations to either side that hold 90 % of a Gaussian error
  function band(x, mean, sd, fill, name) {
    const low = mean.map((m, i) => m - sd[i]), high = mean.map((m, i) => m + sd[i]);
    const edge = { x, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false };
    return [{ ...edge, y: low }, { ...edge, y: high, fill: "tonexty", fillcolor: fill, name }];
  }
  const scaled = (packed, k) => unpack(packed).map((v) => v * k);

  function traces(plot, view) {
    const perMass = state.perMass && plot.massUnit, k = perMass ? 1 / data.mass : 1, found = [];
    const unit = perMass ? plot.massUnit : plot.unit;
    const line = (side, width = 2, dash = "solid") => ({ color: colour[side], width, dash });
    if (view === "cycle") {
      if (plot.norm) {
        const factor = plot.norm.perMass && plot.massUnit && !perMass ? data.mass : 1;
        const mean = scaled(plot.norm.mean, factor), sd = scaled(plot.norm.sd, factor);
        found.push(...band(percent, mean, sd, colour.norm, "norm"));
        found.push({ x: percent, y: mean, mode: "lines", line: { color: colour.normline, width: 1, dash: "dot" }, hoverinfo: "skip" });
      }
      for (const c of plot.cycle) {
        const mean = scaled(c.mean, k), joined = { x: percent, y: mean };
        if (c.seam !== undefined) {  // leave a gap where two incomplete strides were joined
          const at = Math.floor(c.seam) + 1;
          joined.x = [...percent.subarray(0, at), at - 0.5, ...percent.subarray(at)];
          joined.y = [...mean.subarray(0, at), null, ...mean.subarray(at)];
        }
        if (c.sd) found.push(...band(percent, mean, scaled(c.sd, k), fade(colour[c.side], 0.18), "sd"));
        if (c.error) found.push(...band(percent, mean, scaled(c.error, k * WITHIN), fade(colour[c.side], 0.18), "90 %"));
        if (c.each && c.n <= 24) {
          const each = scaled(c.each, k), x = [], y = [];
          for (let i = 0; i < c.n; i++) { x.push(...percent, null); y.push(...each.subarray(101 * i, 101 * (i + 1)), null); }
          found.push({ x, y, mode: "lines", line: { color: fade(colour[c.side], 0.3), width: 0.7 }, hoverinfo: "skip" });
        }
        found.push({ ...joined, mode: "lines", connectgaps: false, line: line(c.side, 2.2), name: `${WORD[c.side]} (n = ${c.n})`,
          hovertemplate: `%{y:.3~g} ${unit}` });
      }
    } else {
      plot.time.forEach((c, i) => {
        const y = scaled(c.y, k), x = c.x ? unpack(c.x) : times;  // what comes from a video has the video's times
        if (c.sd) found.push(...band(x, y, scaled(c.sd, k * WITHIN), fade(colour[c.side], 0.18), "90 %"));
        const plain = line(c.side, plot.time.length > 2 ? 1.5 : 1.8, i && !c.side && !c.solid ? "dot" : "solid");
        // A curve that another one replaces stays in sight behind it.
        found.push({ x, y, mode: "lines", line: c.faint ? { color: fade(colour[c.side], 0.4), width: 0.9 } : plain,
          name: c.name || WORD[c.side], hovertemplate: `%{y:.3~g} ${unit}` });
      });
    }
    return { found, unit };
  }

  // Noise about zero must not fill the plot: the axis spans at least so much.
  function range(plot, found, unit) {
    if (plot.span) return { range: plot.span };
    let low = Infinity, high = -Infinity;
    for (const t of found) for (const v of t.y) if (Number.isFinite(v) && v !== null) { low = Math.min(low, v); high = Math.max(high, v); }
    const least = (plot.least || 0) * (unit === plot.massUnit ? 1 / data.mass : 1);
    if (!(high - low < least)) return {};
    const middle = (low + high) / 2;
    return { range: [middle - least / 2, middle + least / 2] };
  }
  function layout(plot, view, unit, found) {
    const axis = { gridcolor: colour.grid, zeroline: false, linecolor: colour.grid, tickfont: { size: 11, color: colour.soft }, automargin: true,
      fixedrange: matchMedia("(pointer: coarse)").matches };
    const size = paper ? { width: 206, height: 150, autosize: false } : { autosize: true };
    const shapes = [], annotations = [], at = { xref: "paper", x0: 0, x1: 1, type: "line", layer: "below" };
    if (plot.zero) shapes.push({ ...at, y0: 0, y1: 0, line: { color: colour.soft, width: 1 }, opacity: 0.5 });
    for (const l of plot.lines || []) {
      shapes.push({ ...at, layer: "above", y0: l.y, y1: l.y, line: { color: colour.poor, width: 1, dash: "dash" }, opacity: 0.8 });
      annotations.push({ xref: "paper", x: 1, xanchor: "right", y: l.y, yanchor: "bottom", text: l.text, showarrow: false, font: { size: 10, color: colour.poor } });
    }
    const mark = (x, side, dash, k = 0.75) => shapes.push({ type: "line", yref: "paper", y0: 0, y1: 1, x0: x, x1: x, layer: "below",
      line: { color: colour[side], width: 1, dash }, opacity: k });
    if (view === "cycle") for (const side of ["r", "l"]) { if (plot.cycle.some((c) => c.side === side) && data.toeOff[side] != null) mark(data.toeOff[side], side, "dash"); }
    else if (plot.events !== false) for (const e of data.events) {
      if (plot.time.some((c) => c.side === e.side)) mark(e.time, e.side, e.kind === "toe off" ? "dot" : "solid", 0.28);
    }
    return {
      margin: { l: 44, r: 14, t: 8, b: 34 }, ...size, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 11, color: colour.ink }, showlegend: false, hovermode: "x",
      hoverlabel: { bgcolor: colour.card, font: { size: 11, color: colour.ink } }, dragmode: axis.fixedrange ? false : "zoom",
      xaxis: { ...axis, title: { text: view === "cycle" ? "gait cycle [%]" : "time [s]", font: { size: 11, color: colour.soft }, standoff: 4 },
        range: view === "cycle" ? [0, 100] : [times[0], times[times.length - 1]], dtick: view === "cycle" ? 20 : undefined, nticks: 7, ticklabeloverflow: "allow", hoverformat: view === "cycle" ? ".0f" : ".2f" },
      yaxis: { ...axis, title: { text: unit, font: { size: 11, color: colour.soft }, standoff: 6 }, nticks: 6, exponentformat: "none", ...range(plot, found, unit) }, shapes, annotations,
    };
  }

  const charts = [...document.querySelectorAll(".chart")].map((el) => {
    const plot = data.plots[Number(el.dataset.plot)];
    return { el, plot, section: el.dataset.section, drawn: false };
  });
  const viewOf = (chart) => (chart.plot.cycle.length ? state.view[chart.section] || (data.hasCycles ? "cycle" : "time") : "time");
  function draw(chart) {
    if (!window.Plotly) return;
    chart.drawn = true; chart.view = viewOf(chart);
    const { found, unit } = traces(chart.plot, chart.view);
    Plotly.react(chart.el, found, layout(chart.plot, chart.view, unit, found), { displayModeBar: false, responsive: true, displaylogo: false });
    if (!chart.cursors) {
      chart.cursors = ["", "r", "l"].map((side) => { const i = document.createElement("i"); i.className = `cursor ${side}`; chart.el.append(i); return i; });
      chart.el.on("plotly_click", (e) => { if (viewer && chart.view === "time") viewer.seek(e.points[0].x); });
    }
    place(chart);
  }

  // --- the cursor: a thin element over each plot, far cheaper than asking plotly for a new layout
  let now = null;
  function place(chart) {
    if (!chart.drawn || now === null || !chart.el._fullLayout) return;
    const { xaxis, yaxis } = chart.el._fullLayout;
    const put = (cursor, x) => {
      const inside = x !== null && x >= Math.min(...xaxis.range) && x <= Math.max(...xaxis.range);
      cursor.style.display = inside ? "block" : "none";
      if (inside) Object.assign(cursor.style, { left: `${xaxis._offset + xaxis.l2p(x)}px`, top: `${yaxis._offset}px`, height: `${yaxis._length}px` });
    };
    const [any, right, left] = chart.cursors;
    put(any, chart.view === "time" ? now : null);
    for (const [cursor, side] of [[right, "r"], [left, "l"]]) put(cursor, chart.view === "cycle" && chart.plot.cycle.some((c) => c.side === side) ? phase(side) : null);
  }
  function phase(side) {
    for (const [start, end, split] of data.cycles[side]) {
      const length = end - start, t = split !== null && now < start && now >= split - length ? now + length : now;
      if (t >= start && t < end) return 100 * (t - start) / length;
    }
    return null;
  }
  const visible = new Set();
  if (viewer) viewer.onTime((t) => { now = t; visible.forEach(place); });

  const watch = new IntersectionObserver((entries) => {
    for (const e of entries) {
      const chart = charts.find((c) => c.el === e.target);
      if (e.isIntersecting) { visible.add(chart); if (!chart.drawn) draw(chart); else place(chart); } else visible.delete(chart);
    }
  }, { rootMargin: "300px" });

  // --- switches
  document.querySelectorAll(".choice").forEach((choice) => {
    const buttons = [...choice.querySelectorAll("button")];
    buttons.forEach((b) => b.addEventListener("click", () => {
      buttons.forEach((o) => o.setAttribute("aria-pressed", o === b));
      if (choice.dataset.switch === "mass") state.perMass = b.dataset.value === "kg";
      else state.view[choice.dataset.switch] = b.dataset.value;
      redraw();
    }));
  });
  function redraw() { charts.forEach((c) => { if (c.drawn) draw(c); }); }
  function repaint() { readColours(); redraw(); if (viewer) viewer.repaint(); if (film) film.repaint(); }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  function print(on) {
    paper = on; document.documentElement.classList.toggle("paper", on); repaint();
    if (!on) charts.forEach((c) => { if (c.drawn) Plotly.Plots.resize(c.el); });
  }
  window.addEventListener("beforeprint", () => { print(true); charts.forEach((c) => { if (!c.drawn) draw(c); }); });
  window.addEventListener("afterprint", () => print(false));

  readColours();
  try {
    await loadPlotly();
  } catch (error) {
    charts.forEach((c) => { c.el.classList.add("empty"); c.el.dataset.empty = "This browser is too old to draw the plots; the numbers are in the tables folder."; });
    return;
  }
  charts.forEach((c) => watch.observe(c.el));
  // The rest while nobody waits, so that a search, a print or a fast scroll finds everything in place.
  const rest = charts.slice();
  (function next() {
    const chart = rest.shift();
    if (!chart) { document.documentElement.dataset.ready = "yes"; return; }
    if (!chart.drawn) draw(chart);
    setTimeout(next, 8);
  })();
})();
