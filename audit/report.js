// SPDX-License-Identifier: Apache-2.0
// Searches the report, and draws what is around a module. Text of the page is read and written as text only.
'use strict';
(() => {
	const $ = (s, in_ = document) => [...in_.querySelectorAll(s)];
	const search = document.getElementById('search'), shown = document.getElementById('shown');
	const findings = $('details.finding'), rows = $('#requests tbody tr');
	const words = new Map();
	for (const e of [...findings, ...rows]) words.set(e, e.textContent.toLowerCase());
	const apply = () => {
		const terms = search.value.toLowerCase().split(/\s+/).filter(Boolean);
		const ranks = new Set($('.ranks').filter(c => c.checked).map(c => c.value));
		const has = e => terms.every(t => words.get(e).includes(t));
		let f = 0, r = 0;
		for (const e of findings) { e.hidden = !(ranks.has(e.dataset.rank) && has(e)); f += !e.hidden; }
		for (const e of rows) { e.hidden = !has(e); r += !e.hidden; }
		shown.textContent = `${f} of ${findings.length} findings, ${r} of ${rows.length} requests`;
	};
	$('.find').forEach(e => e.hidden = false);
	search.addEventListener('input', apply);
	$('.ranks').forEach(c => c.addEventListener('change', apply));
	const unfold = document.getElementById('unfold');
	unfold.addEventListener('click', () => {
		const open = unfold.textContent === 'Unfold all';
		findings.forEach(e => e.open = open);
		unfold.textContent = open ? 'Fold all' : 'Unfold all';
	});
	addEventListener('beforeprint', () => findings.forEach(e => e.open = true));
	const target = () => { const e = document.getElementById(location.hash.slice(1)); if (e && e.tagName === 'DETAILS') e.open = true; };
	addEventListener('hashchange', target);
	target();
	apply();

	// What is around one module: on the left who asks for it, on the right what it asks for.
	const all = rows.map(r => ({ from: r.cells[0].textContent, name: r.cells[1].textContent, to: r.cells[2].textContent, sure: r.dataset.sure === '0' }));
	const around = document.getElementById('around');
	if (!all.length) return;
	const make = (name, to, attributes, text) => {
		const e = document.createElementNS('http://www.w3.org/2000/svg', name);
		for (const k in attributes) e.setAttribute(k, attributes[k]);
		if (text !== undefined) e.textContent = text;
		to.append(e);
		return e;
	};
	const cut = (s, n) => [...s].length > n ? [...s].slice(0, n - 1).join('') + '…' : s;
	const most = 14, wide = 240, high = 46, row = 58, letters = 26;
	const draw = module => {
		const side = (key, other) => {
			const by = new Map();
			for (const e of all) if (e[key] === module) by.set(e[other], [...(by.get(e[other]) || []), e]);
			return [...by].map(([name, edges]) => ({ name, edges }));
		};
		const left = side('to', 'from'), right = side('from', 'to');
		const height = Math.max(1, Math.min(most, left.length), Math.min(most, right.length)) * row + 40;
		around.replaceChildren();
		const title = `Around ${module}: ${left.length} ask for it, it asks for ${right.length}`;
		const svg = make('svg', around, { viewBox: `0 0 1000 ${height}`, width: 1000, height, role: 'img', 'aria-label': title });
		make('title', svg, {}, title);
		make('text', svg, { class: 'text head', x: 10, y: 20 }, cut(title, 100));
		const box = (name, x, y, here) => {
			const g = make('g', svg, { class: here ? 'in' : 'node', tabindex: here ? -1 : 0, role: here ? 'img' : 'button', 'aria-label': name });
			make('title', g, {}, name);
			make('rect', g, { class: 'box', x, y, width: wide, height: high, rx: 4 });
			make('text', g, { class: 'text name', x: x + 12, y: y + 28 }, cut(name, letters));
			if (!here) {
				g.addEventListener('click', () => draw(name));
				g.addEventListener('keydown', e => { if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); draw(name); } });
			}
		};
		const middle = 34 + (height - 40 - row) / 2;
		const column = (list, x, out) => {
			list.slice(0, most).forEach((n, i) => {
				const y = 34 + i * row, a = out ? x : x + wide, b = out ? 380 + wide : 380, mid = middle + high / 2;
				box(n.name, x, y, false);
				const sure = n.edges.some(e => e.sure), bend = (a + b) / 2, to = out ? a : b, dir = 1;
				const [x1, y1, x2, y2] = out ? [b, mid, a - 10, y + high / 2] : [a, y + high / 2, b - 10, mid];
				const path = make('path', svg, { class: sure ? 'wait' : 'wait likely', d: `M${x1} ${y1}C${bend} ${y1} ${bend} ${y2} ${x2} ${y2}` });
				make('title', path, {}, n.edges.map(e => `${e.from} requests ${e.name}${e.sure ? '' : ' (unsure)'}`).join('\n'));
				make('path', svg, { class: 'tip', d: `M${to} ${y2}l${-10 * dir} -5v10z` });
			});
			if (list.length > most) make('text', svg, { class: 'text', x, y: height - 2 }, `and ${list.length - most} more: see below`);
		};
		column(left, 10, false);
		column(right, 750, true);
		box(module, 380, middle, true);
	};
	around.hidden = false;
	for (const r of rows) for (const i of [0, 2]) {
		const b = document.createElement('button'), name = r.cells[i].textContent;
		b.type = 'button'; b.textContent = name;
		b.addEventListener('click', () => { draw(name); around.scrollIntoView({ block: 'center' }); });
		r.cells[i].replaceChildren(b);
	}
	const degree = new Map();
	for (const e of all) for (const m of [e.from, e.to]) degree.set(m, (degree.get(m) || 0) + 1);
	draw([...degree].sort((a, b) => b[1] - a[1])[0][0]);
})();
