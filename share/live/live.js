/* SPDX-License-Identifier: BSD-2-Clause */
/* The live page: hears events, makes figures of a second of two sums, draws them.  Everything that is shown comes from the
 * daemon that served this page. */
"use strict";

(() => {
    const KEPT = 900;                   /* samples: a quarter of an hour */
    const SMOOTH = 5;                   /* seconds that percentiles and costs are taken over */
    const COLOURS = 6;
    const ENDS_BADLY = /^(worker-died|reload-failed)$/;

    const el = (id) => document.getElementById(id);
    const make = (tag, text, kind) => {
        const e = document.createElement(tag);
        if (text !== undefined)
            e.textContent = text;
        if (kind)
            e.className = kind;
        return e;
    };

    const history = [];                 /* what came, the oldest first */
    const pools = [];                   /* "main, epoll" ...: their places are their colours */
    const times = [];                   /* seconds, of each sample but the first */
    const lines = new Map();            /* key of a series -> values beside `times` */
    const charts = [];
    let events = [], paused = false, span = 300, theme = "system", down = false;

    /* ---- numbers ---- */

    const round = (n) => n >= 100 ? Math.round(n).toLocaleString("en") : n >= 10 ? n.toFixed(1) : n.toFixed(2);
    const known = (n) => n !== null && n !== undefined && Number.isFinite(n);
    const count = (n) => known(n) ? Math.round(n).toLocaleString("en") : "–";
    const rate = (n) => known(n) ? (n >= 10 ? Math.round(n).toLocaleString("en") : round(n)) : "–";
    const share = (n, unit) => known(n) ? `${round(n)}${unit || ""}` : "–";
    const micros = (us) => !known(us) ? "–" : us < 1000 ? `${Math.round(us)} µs` : us < 1e6 ? `${round(us / 1000)} ms` :
        `${round(us / 1e6)} s`;
    const bytes = (n) => {
        const units = ["B", "KiB", "MiB", "GiB", "TiB"];
        let u = 0;
        while (n >= 1024 && u + 1 < units.length) {
            n /= 1024;
            u++;
        }
        return u === 0 ? `${Math.round(n)} B` : `${round(n)} ${units[u]}`;
    };
    const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");
    const served = (t) => t.requests + t.messages + t.datagrams;

    /* Buckets that were counted between two sums: [[begin, count] ...] by size. */
    const between = (now, before) => {
        const old = new Map(), grown = [];
        for (let i = 0; i < before.length; i += 2)
            old.set(before[i], before[i + 1]);
        for (let i = 0; i < now.length; i += 2) {
            const n = now[i + 1] - (old.get(now[i]) || 0);
            if (n > 0)
                grown.push([now[i], n]);
        }
        return grown;
    };

    const quantile = (buckets, part) => {
        const all = buckets.reduce((sum, b) => sum + b[1], 0);
        let left = Math.ceil(all * part);
        for (const [begin, n] of buckets) {
            left -= n;
            if (left <= 0)
                return begin < 128 ? begin : begin * (1 + 1 / 128);
        }
        return null;
    };

    const key = (p) => `${p.pool}, ${p.model}`;
    const pool_of = (sample, name) => sample.pools.find((p) => key(p) === name);

    /* What a pool did between two samples. */
    const figures = (now, before, name) => {
        const a = now && pool_of(now, name), b = before && pool_of(before, name);
        if (!a)
            return null;
        const zero = { totals: { requests: 0, messages: 0, datagrams: 0, syscalls: 0 }, request_buckets: [], cpu_user_us: 0,
                       cpu_system_us: 0, switches_own: 0, switches_forced: 0 };
        const old = b || zero, s = Math.max((now.now_ms - before.now_ms) / 1000, 0.001);
        const n = served(a.totals) - served(old.totals);
        const cpu = a.cpu_user_us + a.cpu_system_us - old.cpu_user_us - old.cpu_system_us;
        const switches = a.switches_own + a.switches_forced - old.switches_own - old.switches_forced;
        const buckets = between(a.request_buckets, old.request_buckets);
        return { rate: n / s, p50: quantile(buckets, 0.5), p99: quantile(buckets, 0.99), p999: quantile(buckets, 0.999),
                 cpu: n > 0 ? cpu / n : null, calls: n > 0 ? (a.totals.syscalls - old.totals.syscalls) / n : null,
                 switches: n > 0 ? switches / n : null, busy: cpu / s / 1e4,
                 connections: a.connections, idle: a.idle, workers: a.workers, served: served(a.totals) };
    };

    /* ---- charts ---- */

    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

    const kinds = [
        { id: "rate", title: "Served in a second", unit: "requests, messages and datagrams", value: rate, of: ["rate"] },
        { id: "time", title: "Time to answer", unit: "from the complete request until all is sent; p50 full, p99 dashed, p99.9 dotted",
          value: micros, of: ["p50", "p99", "p999"], log: true },
        { id: "connections", title: "Connections", unit: "open", value: count, of: ["connections"] },
        { id: "cpu", title: "Processor time for each", unit: "µs, user and system", value: (n) => share(n, " µs"), axis: (n) => share(n), of: ["cpu"] },
        { id: "calls", title: "System calls for each", unit: "to wait, accept, receive and send", value: (n) => share(n), of: ["calls"] },
        { id: "switches", title: "Context switches for each", unit: "voluntary or not", value: (n) => share(n), of: ["switches"] }
    ];
    const dashes = { p99: [7, 4], p999: [2, 3] };
    const labels = { p50: "p50", p99: "p99", p999: "p99.9" };

    const marks = (u) => {
        const { ctx, bbox } = u;
        ctx.save();
        ctx.strokeStyle = ctx.fillStyle = colour("--mark");
        ctx.lineWidth = devicePixelRatio;
        ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
        for (const e of events) {
            const x = u.valToPos(e.when_ms / 1000, "x", true);
            if (x < bbox.left || x > bbox.left + bbox.width)
                continue;
            ctx.strokeStyle = ctx.fillStyle = colour(ENDS_BADLY.test(e.what) ? "--bad" : "--mark");
            ctx.beginPath();
            ctx.moveTo(x, bbox.top);
            ctx.lineTo(x, bbox.top + bbox.height);
            ctx.stroke();
            ctx.beginPath();
            ctx.arc(x, bbox.top, 4 * devicePixelRatio, 0, 7);
            ctx.fill();
        }
        ctx.restore();
    };

    const series_of = (kind) => pools.flatMap((name, i) => kind.of.map((what) => ({
        key: `${name} ${what}`, label: kind.of.length > 1 ? `${name} ${labels[what]}` : name,
        stroke: () => colour(`--c${i % COLOURS}`), width: 2, dash: dashes[what], points: { show: false },
        value: (u, v) => kind.value(v)
    })));

    /* What is not known yet is not shown, but half a minute at least. */
    const shown_range = () => {
        const last = times[times.length - 1] || 0;
        return [Math.min(last - 30, Math.max(last - span, times[0] || 0)), last];
    };

    const chart_open = (chart) => {
        const stamps = "{HH}:{mm}:{ss}";
        const axis = { stroke: () => colour("--faint"), grid: { stroke: () => colour("--line"), width: 1 },
                       ticks: { stroke: () => colour("--line"), width: 1 }, font: "12px system-ui" };
        chart.series = series_of(chart.kind);
        if (chart.plot)
            chart.plot.destroy();
        chart.plot = new uPlot({
            width: Math.max(chart.box.clientWidth, 200), height: 220,
            series: [{ label: "at", value: (u, v) => known(v) ? clock(v * 1000) : "–" }, ...chart.series],
            axes: [{ ...axis, values: [[3600, "{HH}:{mm}", null, null, null, null, null, null, 1], [60, "{HH}:{mm}", null, null, null, null, null, null, 1],
                                       [1, stamps, null, null, null, null, null, null, 1]] }, { ...axis, size: 64, values: (u, vs) => vs.map((v) => v === null ? "" : (chart.kind.axis || chart.kind.value)(v)) }],
            scales: { x: { time: true, range: shown_range },
                      y: chart.kind.log ? { distr: 3, range: (u, a, b) => known(a) && a > 0 ? uPlot.rangeLog(a, b, 10, true) : [1, 1000] }
                          : { range: (u, a, b) => [0, known(b) && b > 0 ? b * 1.1 : 1] } },
            cursor: { drag: { x: false, y: false } }, hooks: { draw: [marks] }
        }, data_of(chart), chart.box);
    };

    const data_of = (chart) => [times, ...chart.series.map((s) => (lines.get(s.key) || []).map(
        (v) => chart.kind.log && !(v > 0) ? null : v))];

    const charts_begin = () => {
        for (const kind of kinds) {
            const figure = make("figure"), caption = make("figcaption", kind.title + " "), box = make("div");
            caption.append(make("span", kind.unit));
            figure.id = `chart-${kind.id}`;
            figure.append(caption, box);
            el("charts").append(figure);
            charts.push({ kind, box, figure, plot: null, series: [] });
        }
        new ResizeObserver(() => {
            for (const c of charts)
                if (c.plot)
                    c.plot.setSize({ width: Math.max(c.box.clientWidth, 200), height: 220 });
        }).observe(el("charts"));
    };

    const charts_redo = () => charts.forEach(chart_open);
    const charts_draw = () => charts.forEach((c) => c.plot ? c.plot.setData(data_of(c)) : chart_open(c));

    /* ---- words ---- */

    const card = (name, i, f) => {
        const c = make("article", undefined, `card c${i % COLOURS}`), dl = make("dl");
        const [pool, model] = name.split(", ");
        const h = make("h3", `${pool} `);
        h.append(make("span", model));
        c.dataset.pool = pool;
        const rows = [["Served/s", rate(f.rate), "rate"], ["p50", micros(f.p50), "p50"], ["p99", micros(f.p99), "p99"],
                      ["p99.9", micros(f.p999), "p999"], ["CPU for each", share(f.cpu, " µs"), "cpu"],
                      ["Calls for each", share(f.calls), "calls"], ["Switches for each", share(f.switches), "switches"],
                      ["CPU used", share(f.busy, " %"), "busy"], ["Workers", count(f.workers), "workers"],
                      ["Connections", count(f.connections), "connections"], ["of them idle", count(f.idle), "idle"],
                      ["Served", count(f.served), "served"]];
        for (const [term, value, id] of rows) {
            const d = make("div"), dd = make("dd", value);
            dd.dataset.value = id;
            d.append(make("dt", term), dd);
            dl.append(d);
        }
        c.append(h, dl);
        return c;
    };

    const cells = (row, values) => {
        for (const [i, v] of values.entries())
            row.append(make("td", v[0], v[1] ? "n" : ""));
        return row;
    };

    const show_tables = (now, before) => {
        const s = Math.max((now.now_ms - before.now_ms) / 1000, 0.001);
        el("workers").replaceChildren(...now.workers.map((w) => {
            const old = before.workers.find((o) => o.worker === w.worker && o.pid === w.pid);
            return cells(make("tr"), [[w.worker], [w.model], [String(w.pid), true], [String(w.generation), true],
                [count(w.connections), true], [old ? rate((served(w) - served(old)) / s) : "–", true], [count(served(w)), true]]);
        }));
        el("services").replaceChildren(...now.services.map((v) => {
            const old = before.services.find((o) => o.service === v.service), t = v.totals;
            const refused = t.refused + t.refused_address + t.refused_full + t.refused_proxy;
            return cells(make("tr"), [[v.service], [count(v.connections), true], [count(v.idle), true],
                [old ? rate((served(t) - served(old.totals)) / s) : "–", true], [count(served(t)), true],
                [count(t.responses_4xx), true], [count(t.responses_5xx), true], [count(refused), true],
                [old ? bytes((t.bytes_sent - old.totals.bytes_sent) / s) : "–", true],
                [count(v.accept_queue), true]]);
        }));
    };

    const say_event = (e) => `${e.what.replace(/-/g, " ")}${e.whom ? `: ${e.whom}` : ""}`;

    const show_events = () => {
        el("events").replaceChildren(...events.slice(-30).reverse().map((e) => {
            const li = make("li", undefined, ENDS_BADLY.test(e.what) ? "bad" : "");
            const at = make("time", clock(e.when_ms));
            at.dateTime = new Date(e.when_ms).toISOString();
            li.append(at, say_event(e));
            return li;
        }));
    };

    const say = (text, bad) => {
        if (el("state").textContent !== text)
            el("state").textContent = text;
        el("state").className = bad ? "bad" : "";
    };

    const say_state = (now) => {
        const r = now.reload;
        say(`generation ${now.generation}${r ? `, last reload ${r.ok ? "taken over" : "failed"} at ` +
            clock(r.when_s * 1000) : ""}${paused ? ", paused" : ""}`, r && !r.ok);
    };

    /* ---- samples ---- */

    const keep = (now, before) => {
        const back = history[Math.max(0, history.length - 1 - SMOOTH)];
        times.push(now.now_ms / 1000);
        for (const name of pools) {
            const second = figures(now, before, name), smooth = figures(now, back, name);
            for (const what of ["rate", "connections", "p50", "p99", "p999", "cpu", "calls", "switches"]) {
                const k = `${name} ${what}`, from = what === "rate" || what === "connections" ? second : smooth;
                if (!lines.has(k))
                    lines.set(k, Array(times.length - 1).fill(null));
                lines.get(k).push(from && from.workers + from.rate > 0 ? from[what] : null);
            }
        }
        if (times.length > KEPT) {
            times.shift();
            lines.forEach((v) => v.shift());
        }
    };

    const pools_meet = (now) => {
        const before = pools.length;
        for (const p of now.pools)
            if (!pools.includes(key(p)) && (p.workers > 0 || served(p.totals) > 0))
                pools.push(key(p));
        return pools.length > before;
    };

    const show = (now, before) => {
        const back = history[Math.max(0, history.length - 1 - SMOOTH)];
        const cards = pools.map((name, i) => [name, i, figures(now, back, name)]).filter((c) => c[2]);
        el("version").textContent = now.version;
        el("pools").replaceChildren(...cards.filter((c) => c[2].workers > 0 || c[2].served > 0).map((c) => card(...c)));
        say_state(now);
        show_tables(now, before);
        show_events();
        charts_draw();
        document.body.dataset.samples = String(times.length);
    };

    const hear = (now) => {
        const before = history[history.length - 1];
        const fresh = pools_meet(now);
        if (before && now.began_s !== before.began_s)
            history.length = 0;         /* another daemon: its sums began anew */
        history.push(now);
        if (history.length > SMOOTH + 2)
            history.shift();
        events = now.events;
        if (!before || history.length < 2)
            return;
        keep(now, before);
        if (fresh || charts.some((c) => !c.plot))
            charts_redo();
        if (!paused)
            show(now, before);
    };

    const listen = () => {
        const source = new EventSource("events");
        source.onmessage = (m) => {
            down = false;
            hear(JSON.parse(m.data));
        };
        source.onerror = () => {
            if (!down)
                say("no connection to the daemon; trying again", true);
            down = true;
            if (source.readyState === EventSource.CLOSED)
                setTimeout(listen, 2000);
        };
    };

    /* ---- what people do ---- */

    const pause = () => {
        paused = !paused;
        el("pause").textContent = paused ? "Go on" : "Pause";
        el("pause").setAttribute("aria-pressed", String(paused));
    };

    const theme_set = (name) => {
        theme = name;
        if (name === "system")
            delete document.documentElement.dataset.theme;
        else
            document.documentElement.dataset.theme = name;
        el("theme").textContent = `Theme: ${name}`;
        try {
            localStorage.setItem("iomuxd-theme", name);
        } catch (e) {
            /* no place to remember it */
        }
        if (times.length > 0)
            charts_redo();              /* a legend keeps the colours that it was made with */
    };
    const theme_next = () => theme_set({ system: "dark", dark: "light", light: "system" }[theme]);

    const begin = () => {
        let kept = null;
        try {
            kept = localStorage.getItem("iomuxd-theme");
        } catch (e) {
            kept = null;
        }
        charts_begin();
        if (kept === "dark" || kept === "light")
            theme_set(kept);
        el("pause").addEventListener("click", pause);
        el("theme").addEventListener("click", theme_next);
        el("span").addEventListener("change", () => {
            span = Number(el("span").value);
            charts_draw();
        });
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme_set(theme));
        document.addEventListener("keydown", (e) => {
            if (e.ctrlKey || e.altKey || e.metaKey || e.target.tagName === "SELECT")
                return;
            if (e.key === "p")
                pause();
            else if (e.key === "t")
                theme_next();
        });
        listen();
    };

    begin();
})();
