// SPDX-License-Identifier: Apache-2.0
// Zooms, searches, and tells of a bar who asked for it and what came of it. Names are written as text only.
'use strict';
(() => {
	const id = x => document.getElementById(x);
	const data = JSON.parse(id('data').textContent), { words, wide, left, top, row } = data, us = Math.max(1, data.us);
	const plot = id('plot'), labels = id('labels'), axis = id('axis'), chosen = id('chosen'), about = id('about'), svg = plot.ownerSVGElement;
	const height = plot.viewBox.baseVal.height;
	const item = (kind, n, a) => ({ kind, n, name: words[a[0]], comm: words[a[1]], tid: a[2], link: a[3], begin: a[4], took: a[5], lane: a[6], who: words[a[7]], a });
	const loads = data.loads.map((a, n) => item('load', n, a)), requests = data.requests.map((a, n) => item('request', n, a));
	const lanes = [], came = new Map(), made = new Map();
	for (const i of [...requests, ...loads]) (lanes[i.lane] ||= []).push(i);
	for (const l of loads) if (l.link >= 0) came.get(l.link)?.push(l) ?? came.set(l.link, [l]);
	for (const q of requests) if (q.link >= 0) made.get(q.link)?.push(q) ?? made.set(q.link, [q]);
	const ms = t => (t / 1000).toFixed(3) + ' ms', s = t => (t / 1e6).toFixed(6) + ' s';
	const who = i => `${i.comm}[${i.tid}]${i.who ? ' (' + i.who + ')' : ''}`;
	let from = 0, span = us, current = null;
	const make = (name, to, attributes, text) => {
		const e = document.createElementNS('http://www.w3.org/2000/svg', name);
		for (const k in attributes) e.setAttribute(k, attributes[k]);
		if (text !== undefined) e.textContent = text;
		to.append(e);
	};
	const show = (begin, length) => {
		span = Math.min(us, Math.max(10, length));
		from = Math.min(us - span, Math.max(0, begin));
		plot.setAttribute('viewBox', `${from / us * wide} 0 ${span / us * wide} ${height}`);
		const x = t => left + (t - from) / span * wide;
		axis.replaceChildren();
		let step = 10 ** Math.floor(Math.log10(span));
		if (span / step < 4) step /= 2;
		if (span / step < 4) step /= 2;
		for (let t = Math.ceil(from / step) * step; t <= from + span; t += step) {
			make('path', axis, { class: 'tick', d: `M${x(t)} 20V${top + height}` });
			const anchor = x(t) < left + 40 ? 'start' : x(t) > left + wide - 40 ? 'end' : 'middle';
			make('text', axis, { x: x(t), y: 14, 'text-anchor': anchor }, step >= 1000 ? +(t / 1e6).toFixed(6) + ' s' : +(t / 1000).toFixed(3) + ' ms');
		}
		labels.replaceChildren();
		let n = 0;
		for (const l of loads) {
			const a = Math.max(left, x(l.begin)), b = Math.min(left + wide, x(l.begin + l.took));
			if (b - a >= [...l.name].length * 7 + 4 && n++ < 2000) make('text', labels, { class: 'label', x: a + 2, y: top + l.lane * row + row / 2 + 4 }, l.name);
		}
	};
	const arrow = (a, b) => `M${a.begin / us * wide} ${a.lane * row + row / 2}L${b.begin / us * wide} ${b.lane * row + row / 2}`;
	const tell = i => {
		current = i;
		const lines = [];
		let path = `M${i.begin / us * wide} ${i.lane * row + row - 1}h${Math.max(0.7, i.took / us * wide)}`;
		if (i.kind === 'load') {
			lines.push(`${i.name}: ${words[i.a[10]]}${i.a[11] ? ', waits for itself' : ''}, loaded by ${who(i)}`,
				`at ${s(i.begin)} for ${ms(i.took)}, of it ${ms(i.a[9])} by itself${i.a[8] >= 0 ? '; its init began after ' + ms(i.a[8]) : ''}`);
			if (words[i.a[13]]) lines.push(`of it: ${words[i.a[13]]}`);
			if (words[i.a[12]]) lines.push(`why: ${words[i.a[12]]}`);
		} else {
			lines.push(`${i.name}: asked for by ${who(i)}`, `at ${s(i.begin)} for ${ms(i.took)}`);
		}
		for (let at = i, n = 0; n < 30; n++) { // up to who asked first
			const next = at.kind === 'load' ? requests[at.link] : loads[at.link] || requests[at.a[8]];
			if (!next) break;
			lines.push(at.kind === 'load' ? `asked for as ${next.name} by ${who(next)}` : `on behalf of the load of ${next.name}`);
			path += arrow(next, at);
			at = next;
		}
		for (const down of (i.kind === 'load' ? made : came).get(i.n) || []) {
			if (lines.length < 12) lines.push(i.kind === 'load' ? `asks for ${down.name}` : `brought ${down.name}: ${words[down.a[10]]}`);
			path += arrow(i, down);
		}
		chosen.setAttribute('d', path);
		const box = svg.getBoundingClientRect(), y = box.top + (top + i.lane * row) * box.height / svg.viewBox.baseVal.height;
		if (y < id('about').getBoundingClientRect().bottom || y > innerHeight - 40) scrollBy(0, y - innerHeight / 2 - 80);
		about.textContent = lines.join('\n');
	};
	const under = e => {
		const m = svg.getScreenCTM().inverse(), p = new DOMPoint(e.clientX, e.clientY).matrixTransform(m);
		const t = from + (p.x - left) / wide * span, lane = Math.floor((p.y - top) / row), near = 4 / wide * span;
		let best = null;
		for (const i of lanes[lane] || []) if (t >= i.begin - near && t <= i.begin + i.took + near && (!best || i.took < best.took)) best = i;
		return best;
	};
	svg.addEventListener('click', e => { const i = under(e); if (i) tell(i); });
	const middle = () => current ? current.begin + current.took / 2 : from + span / 2;
	const zoom = by => { const m = middle(); show(m - span * by / 2, span * by); };
	id('in').addEventListener('click', () => zoom(0.5));
	id('out').addEventListener('click', () => zoom(2));
	id('back').addEventListener('click', () => show(from - span / 3, span));
	id('on').addEventListener('click', () => show(from + span / 3, span));
	id('all').addEventListener('click', () => show(0, us));
	const search = id('search');
	let found = [], at = 0;
	search.addEventListener('input', () => {
		const term = search.value.toLowerCase();
		found = term ? [...loads, ...requests].filter(i => (i.name + ' ' + i.comm + '[' + i.tid + '] ' + i.who).toLowerCase().includes(term)) : [];
		at = 0;
		about.textContent = `${found.length} found; Enter goes from one to the next`;
	});
	search.addEventListener('keydown', e => {
		if (e.key !== 'Enter' || !found.length) return;
		const i = found[at++ % found.length], length = Math.min(span, Math.max(i.took * 4, us / 50));
		show(i.begin + i.took / 2 - length / 2, length);
		tell(i);
	});
	document.querySelector('.tools').hidden = false;
})();
