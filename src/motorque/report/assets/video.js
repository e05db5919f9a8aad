/* The video beside the 3D view: one picture at a time with the fitted skeleton and the keypoints drawn over it. The 3D view
   owns the time; a picture always carries the drawing of its own time, so the two cannot come apart. No library, no network. */
"use strict";
function createFilm(root, views, viewer, start) {
  const canvas = root.querySelector("canvas"), ctx = canvas.getContext("2d"), hint = root.querySelector(".hint");
  const show = { skeleton: true, detected: true, model: false };
  const AHEAD = 6, KEPT = 32;  // pictures that are decoded before they are needed, and kept after it
  let closeup = false, view = null, now = start, wanted = -1, shown = -1, bitmap = null, width = 0, height = 0, scale = 1, css = {};

  // --- a view: its tables are unpacked when it is first chosen
  const track = (packed) => {
    const grid = unpack(packed), n = packed.shape[1], o = packed.offset, s = packed.step;
    return { n, at: (frame, k) => {
      const i = 2 * (frame * n + k);
      return grid[i] === -32768 ? null : [grid[i] * s[0] + o[0], grid[i + 1] * s[1] + o[1]];
    } };
  };
  function open(k) {
    const packed = views[k], times = unpack(packed.times);
    const at = [0];
    for (const size of packed.bytes) at.push(at[at.length - 1] + size);
    const steps = Array.from(times.subarray(1), (t, i) => t - times[i]).sort((a, b) => a - b);
    view = { packed, times, at, nodes: track(packed.nodes), found: track(packed.keypoints), sure: unpack(packed.confidence),
      model: packed.model && track(packed.model), film: packed.bytes.length ? bytesFrom(document.getElementById(`film-${k}`).textContent) : null,
      reach: Math.max(0.1, 1.5 * (steps[steps.length >> 1] || 0)), kept: new Map() };
    view.boxes = boxes();
    shown = wanted = -1; bitmap = null;
    seek();
  }
  function nearest(times, t) {
    let a = 0, b = times.length - 1;
    while (b - a > 1) { const m = (a + b) >> 1; if (times[m] <= t) a = m; else b = m; }
    return t - times[a] < times[b] - t ? a : b;
  }

  // --- pictures: decoded when they are asked for, with the next ones
  function picture(i) {
    const { kept, film, at } = view;
    let found = kept.get(i);
    kept.delete(i);
    if (!found) found = createImageBitmap(new Blob([film.subarray(at[i], at[i + 1])], { type: "image/jpeg" })).catch(() => null);
    kept.set(i, found);
    for (const old of kept.keys()) {
      if (kept.size <= KEPT) break;
      if (old !== shown) kept.delete(old);
    }
    return found;
  }
  function seek() {
    const i = nearest(view.times, now - start), here = view, away = Math.abs(now - start - view.times[i]) > view.reach;
    hint.textContent = away ? "no frame at this time" : `${view.film ? "picture" : "frame"} at ${(start + view.times[i]).toFixed(3)} s`;
    root.classList.toggle("away", away);
    if (i === wanted) return;
    wanted = i;
    if (!view.film) { present(i, null); return; }
    picture(i).then((made) => { if (view === here && wanted === i) present(i, made); });
    for (let k = i + 1; k <= Math.min(i + AHEAD, view.times.length - 1); k++) picture(k);
  }
  function present(i, made) {
    shown = i; bitmap = made;
    root.dataset.shown = i; root.dataset.seconds = (start + view.times[i]).toFixed(4);
    draw();
  }

  // --- where the person is, for the close-up: the box of the joints, steadied over the neighbouring pictures
  function boxes() {
    const { nodes, times } = view, raw = [], reach = 8;
    for (let f = 0; f < times.length; f++) {
      let low = [1e9, 1e9], high = [-1e9, -1e9];
      for (let k = 0; k < nodes.n; k++) {
        const p = nodes.at(f, k);
        if (p) for (const a of [0, 1]) { low[a] = Math.min(low[a], p[a]); high[a] = Math.max(high[a], p[a]); }
      }
      raw.push(low[0] > high[0] ? null : [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, high[0] - low[0], high[1] - low[1]]);
    }
    return raw.map((_, f) => {
      const near = raw.slice(Math.max(0, f - reach), f + reach + 1).filter(Boolean);
      if (!near.length) return null;
      const mean = (a) => near.reduce((s, b) => s + b[a], 0) / near.length, most = (a) => Math.max(...near.map((b) => b[a]));
      return [mean(0), mean(1), most(2), most(3)];
    });
  }
  function placement() {
    const [W, H] = view.packed.size, whole = Math.min(width / W, height / H), box = closeup && view.boxes[shown];
    if (!box) return [whole, (width - W * whole) / 2, (height - H * whole) / 2];
    const k = Math.max(whole, Math.min(8 * whole, width / (1.3 * box[2]), height / (1.3 * box[3])));
    return [k, width / 2 - k * box[0], height / 2 - k * box[1]];
  }

  // --- drawing
  function readColours() {
    const style = getComputedStyle(document.documentElement), get = (name) => style.getPropertyValue(name).trim();
    css = { ground: get("--sky"), line: get("--line"), right: get("--right"), left: get("--left"), middle: get("--middle"), card: get("--card") };
  }
  function draw() {
    ctx.setTransform(scale, 0, 0, scale, 0, 0);
    ctx.fillStyle = view.film ? "#0c0f13" : css.ground; ctx.fillRect(0, 0, width, height);
    if (shown < 0) return;
    const [k, ox, oy] = placement(), [W, H] = view.packed.size, { nodes, found, model, packed } = view;
    if (bitmap) ctx.drawImage(bitmap, ox, oy, W * k, H * k);
    else { ctx.strokeStyle = css.line; ctx.lineWidth = 1; ctx.strokeRect(ox + 0.5, oy + 0.5, W * k - 1, H * k - 1); }
    // Bright colours over a picture, the page's over an empty ground; blue is right and orange left in both.
    const colour = bitmap ? { r: "#56b4e9", l: "#ff9a4d", "": "#f4f6fa" } : { r: css.right, l: css.left, "": css.middle };
    const rim = bitmap ? "rgba(8,12,18,.6)" : css.card, thin = Math.max(1.6, Math.min(width, height) / 150);
    const put = (p) => p && [ox + k * p[0], oy + k * p[1]];
    const line = (a, b, style, wide) => { ctx.strokeStyle = style; ctx.lineWidth = wide; ctx.beginPath(); ctx.moveTo(...a); ctx.lineTo(...b); ctx.stroke(); };
    const ring = (p, r, style, wide) => { ctx.strokeStyle = style; ctx.lineWidth = wide; ctx.beginPath(); ctx.arc(...p, r, 0, 7); ctx.stroke(); };
    ctx.lineCap = "round";
    if (show.skeleton) {
      const joined = packed.lines.map(([a, b, side]) => [put(nodes.at(shown, a)), put(nodes.at(shown, b)), side]).filter(([a, b]) => a && b);
      const [neck, head] = (packed.head || []).map((n) => put(nodes.at(shown, n)));
      const skull = neck && head && 0.7 * Math.hypot(neck[0] - head[0], neck[1] - head[1]);
      for (const [extra, pick] of [[thin * 1.4, () => rim], [0, (side) => colour[side] || colour[""]]]) {
        for (const [a, b, side] of joined) line(a, b, pick(side), thin + extra);
        if (skull) ring(head, skull, pick(""), thin + extra);
      }
    }
    for (let n = 0; n < found.n; n++) {
      const p = put(found.at(shown, n)), q = model && put(model.at(shown, n)), style = colour[packed.sides[n]];
      if (show.model && q) {
        if (p) line(p, q, "#ff4d6d", Math.max(1, 0.5 * thin));
        ring(q, 1.5 * thin, rim, thin); ring(q, 1.5 * thin, style, 0.6 * thin);
      }
      if (show.detected && p) {
        ctx.globalAlpha = 0.3 + 0.7 * view.sure[shown * found.n + n];
        ctx.fillStyle = style; ctx.strokeStyle = bitmap ? "#fff" : rim; ctx.lineWidth = 1;
        ctx.beginPath(); ctx.arc(...p, 1.2 * thin, 0, 7); ctx.fill(); ctx.stroke(); ctx.globalAlpha = 1;
      }
    }
  }

  // --- hands
  root.addEventListener("keydown", (e) => {
    if (e.target !== root) return;
    const act = { " ": viewer.toggle, ArrowRight: () => viewer.step(e.shiftKey ? 10 : 1), ArrowLeft: () => viewer.step(e.shiftKey ? -10 : -1) }[e.key];
    if (act) { e.preventDefault(); act(); }
  });
  canvas.addEventListener("click", () => { root.focus({ preventScroll: true }); viewer.toggle(); });
  root.querySelectorAll("input[data-film]").forEach((box) => {
    const name = box.dataset.film;
    box.checked = show[name];
    box.addEventListener("change", () => { show[name] = box.checked; draw(); });
  });
  const button = root.querySelector("button[data-film=closeup]");
  button.addEventListener("click", () => { closeup = !closeup; button.setAttribute("aria-pressed", closeup); draw(); });
  const choice = root.querySelector("select");
  if (choice) choice.addEventListener("change", () => open(Number(choice.value)));

  function resize() {
    width = Math.max(50, root.clientWidth); height = Math.max(50, root.clientHeight);
    scale = Math.min(3, window.devicePixelRatio || 1);
    canvas.width = Math.round(width * scale); canvas.height = Math.round(height * scale);
    draw();
  }
  readColours(); open(0); resize();
  new ResizeObserver(resize).observe(root);
  viewer.onTime((t) => { now = t; seek(); });
  return { repaint: () => { readColours(); draw(); } };
}
