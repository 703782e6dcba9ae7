// The picture as the place to work: points, the painted region, zoom, and the picture before.
// Gradio runs this once for its HTML component, with `element`, `props`, `trigger` and `watch`.
//
// props.value, from the server: {image, before, size, handles, targets, moving, region, landmarks, edit, ack, words,
// version, running}.
// Points are [x, y] in pixels of the generator's picture, pixel centres at whole numbers.
// To the server go operations in their order, in batches: {ops: [{op, ...}], seq}. Each answer says in `ack` up to which
// one it has them. Until then they are drawn as they will be, so that a point is there as soon as it is put down.
// Answers may overtake each other. So when all is quiet, {seen: version} asks whether the page shows the newest one.

const find = name => element.querySelector(name)
const viewport = find('.viewport'), stage = find('.stage'), tools = find('.tools')
const shown = find('.shown'), before = find('.before'), overlay = find('.region'), marks = find('.marks')
overlay.width = overlay.height = MASK_SIDE
const SVG = 'http://www.w3.org/2000/svg'
const FAR = 5, NEAR = 14    // CSS pixels: further is a drag and no click; nearer takes hold of a point
const LONG_PRESS = 550      // ms
const ZOOM_MOST = 8

let state = {size: 1024, handles: [], targets: [], ack: 0}
let waiting = [], sent = 0, next = 0, sentAt = 0  // operations not yet acknowledged; how many of them are on their way
let tool = 'points', zoom = 1
const QUIET = 600, QUIET_AT_WORK = 4000    // ms without an answer; while a task is at work one comes twice a second
let asking = 0

// ---- operations: the same on this side, until the server has answered

function applied(before, {op, ...o}) {
    if (before.edit && (op === 'place' || op === 'pair')) before = {...before, handles: [], targets: []}
    const [handles, targets] = [before.handles.map(p => [...p]), before.targets.map(p => [...p])]
    const half = handles.length > targets.length
    let moving = false
    if (op === 'place') {
        const last = half ? handles : targets
        if (before.moving && last.length) last[last.length - 1] = [o.x, o.y]
        else (half ? targets : handles).push([o.x, o.y])
    } else if (op === 'pair') {
        if (half) handles.pop()
        handles.push(o.handle)
        targets.push(o.target)
    } else if (op === 'move') {
        const list = o.kind === 'handle' ? handles : targets
        if (list[o.index]) list[o.index] = [o.x, o.y]
    } else if (op === 'remove') {
        handles.splice(o.index, 1)
        targets.splice(o.index, 1)
    } else moving = before.moving
    return {...before, handles, targets, moving, edit: false}
}

const present = () => waiting.reduce(applied, state)

function send(op) {
    waiting.push(op)
    next += 1
    flush()
    draw()
}

function flush() {
    const stuck = sent && performance.now() - sentAt > 15000  // the answer was lost: ask again
    if (!waiting.length || (sent && !stuck)) return
    sent = waiting.length
    sentAt = performance.now()
    trigger('select', {ops: waiting, seq: next})
}
setInterval(flush, 1000)

function received(value) {
    if (!value) return
    clearTimeout(asking)
    asking = setTimeout(() => trigger('select', {seen: value.version}), value.running ? QUIET_AT_WORK : QUIET)
    if (value.ack > next) next = value.ack  // of the page before it was loaded again
    const answered = value.ack - (next - waiting.length)
    if (answered > 0) {
        waiting = waiting.slice(answered)
        sent = 0
    }
    if (value.words) name(value.words)
    if (value.image) {
        state = {...value, words: undefined}
        swap(shown, state.image.url)
        swap(before, state.before?.url)
        button('before').disabled = !state.before
        if (state.region !== regionShown && !waiting.some(o => o.op === 'region')) readRegion(state.region)
    }
    draw()
    flush()
}

// A picture is put in place only when it is whole, or the page would flash.
function swap(image, url) {
    if (image.dataset.url === `${url}`) return
    image.dataset.url = url
    if (!url) return image.removeAttribute('src')
    if (!image.src) return void (image.src = url)
    const loader = new Image()
    loader.onload = () => { if (image.dataset.url === url) image.src = url }
    loader.src = url
}

// ---- drawing

function make(kind, attributes, parent = marks) {
    const node = document.createElementNS(SVG, kind)
    for (const key in attributes) node.setAttribute(key, attributes[key])
    return parent.appendChild(node)
}

function draw(ghost = null) {
    const {size, handles, targets, landmarks} = ghost || present()
    const unit = size / (marks.clientWidth || size)  // picture pixels in a CSS pixel
    marks.setAttribute('viewBox', `-0.5 -0.5 ${size} ${size}`)
    marks.replaceChildren()
    for (const [cx, cy] of landmarks || []) make('circle', {cx, cy, r: 2.5 * unit, class: 'landmark'})
    targets.forEach(([x2, y2], i) => {
        const [x1, y1] = handles[i], long = Math.hypot(x2 - x1, y2 - y1)
        if (long < unit) return
        make('line', {x1, y1, x2, y2, class: 'way', 'stroke-width': 2 * unit})
        const [dx, dy] = [(x2 - x1) / long, (y2 - y1) / long], far = Math.min(long, 16 * unit), wide = 5 * unit
        const [bx, by] = [x2 - dx * far, y2 - dy * far]
        const corners = [[x2, y2], [bx - dy * wide, by + dx * wide], [bx + dy * wide, by - dx * wide]]
        make('polygon', {points: corners.join(' '), class: 'head'})
    })
    const r = 7 * unit
    targets.forEach(([cx, cy], i) => make('circle', {cx, cy, r, class: 'target', 'data-index': i, 'stroke-width': 2 * unit}))
    handles.forEach(([cx, cy], i) => make('circle', {cx, cy, r: r * .8, class: 'handle', 'data-index': i, 'stroke-width': 2 * unit}))
}

// ---- gestures

function place(event) {
    const box = stage.getBoundingClientRect(), last = state.size - 1
    const at = (v, start, long) => Math.min(Math.max((v - start) / long * state.size - .5, 0), last)
    return [at(event.clientX, box.left, box.width), at(event.clientY, box.top, box.height)]
}

// The nearest point under the pointer; of two at the same place the handle, which is drawn on top.
function pointAt(event) {
    const box = stage.getBoundingClientRect(), {handles, targets, size} = present()
    let best = null, least = NEAR + .01
    for (const [kind, list] of [['target', targets], ['handle', handles]]) list.forEach(([x, y], index) => {
        const far = Math.hypot((x + .5) / size * box.width + box.left - event.clientX,
            (y + .5) / size * box.height + box.top - event.clientY)
        if (far <= least) [least, best] = [far, {kind, index}]
    })
    return best
}

const pointers = new Map()
let gesture = null, pinch = null

stage.addEventListener('pointerdown', event => {
    if (event.button > 0 || !state.image) return  // before the first picture no operation has a number
    event.preventDefault()
    find('.canvas').focus({preventScroll: true})
    pointers.set(event.pointerId, event)
    stage.setPointerCapture(event.pointerId)
    if (pointers.size === 2) {
        clearTimeout(gesture?.timer)
        gesture = null
        pinch = {zoom, ...spread()}
        return
    }
    const held = tool === 'points' ? pointAt(event) : null
    gesture = {from: place(event), x: event.clientX, y: event.clientY, held, far: false, at: place(event)}
    if (tool !== 'points') stroke(gesture.from, gesture.from)
    else if (held && event.pointerType !== 'mouse') gesture.timer = setTimeout(() => {
        gesture = null
        send({op: 'remove', index: held.index})
    }, LONG_PRESS)
})

stage.addEventListener('pointermove', event => {
    if (pointers.has(event.pointerId)) pointers.set(event.pointerId, event)
    if (pinch && pointers.size === 2) {
        const now = spread()
        setZoom(pinch.zoom * now.far / pinch.far, now.x, now.y)
        viewport.scrollBy(pinch.x - now.x, pinch.y - now.y)
        Object.assign(pinch, {x: now.x, y: now.y})
        return
    }
    if (!gesture) return void (stage.style.cursor = tool === 'points' && pointAt(event) ? 'grab' : '')
    const at = place(event)
    gesture.far ||= Math.hypot(event.clientX - gesture.x, event.clientY - gesture.y) > FAR
    if (tool !== 'points') stroke(gesture.at, at)
    else if (gesture.far) {
        clearTimeout(gesture.timer)
        draw(applied(present(), operation(at)))
    }
    gesture.at = at
})

// A handle that has no target yet is dragged to it, not moved.
const lacks = held => held.kind === 'handle' && !present().targets[held.index]
const operation = at => !gesture.held ? {op: 'pair', handle: gesture.from, target: at}
    : lacks(gesture.held) ? {op: 'place', x: at[0], y: at[1]}
    : {op: 'move', ...gesture.held, x: at[0], y: at[1]}

function ended(event) {
    pointers.delete(event.pointerId)
    if (pinch) {
        if (!pointers.size) pinch = null
        return
    }
    if (!gesture) return
    clearTimeout(gesture.timer)
    const [done, at] = [gesture, place(event)]
    if (event.type === 'pointercancel') draw()
    else if (tool !== 'points') sendRegion()
    else if (done.far) send(operation(at))
    else if (!done.held || lacks(done.held)) send({op: 'place', x: done.from[0], y: done.from[1]})
    gesture = null
}
stage.addEventListener('pointerup', ended)
stage.addEventListener('pointercancel', ended)
stage.addEventListener('contextmenu', event => {
    const held = pointAt(event)
    event.preventDefault()
    if (held && event.pointerType !== 'touch') send({op: 'remove', index: held.index})
})

function spread() {
    const [a, b] = [...pointers.values()]
    return {far: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1,
        x: (a.clientX + b.clientX) / 2, y: (a.clientY + b.clientY) / 2}
}

// ---- zoom: the viewport scrolls over the enlarged stage

function setZoom(to, x, y) {
    const box = viewport.getBoundingClientRect(), [cx, cy] = [x ?? box.left + box.width / 2, y ?? box.top + box.height / 2]
    const was = zoom
    zoom = Math.min(Math.max(to, 1), ZOOM_MOST)
    const [left, top] = [viewport.scrollLeft + cx - box.left, viewport.scrollTop + cy - box.top]
    stage.style.width = stage.style.height = `${zoom * 100}%`
    viewport.scrollLeft = left * zoom / was - (cx - box.left)
    viewport.scrollTop = top * zoom / was - (cy - box.top)
    button('zoom-out').disabled = zoom === 1
    draw()
}
viewport.addEventListener('wheel', event => {
    if (!event.ctrlKey && !event.metaKey) return  // the page or the viewport scrolls
    event.preventDefault()
    setZoom(zoom * Math.exp(-event.deltaY / 300), event.clientX, event.clientY)
}, {passive: false})
new ResizeObserver(() => draw()).observe(viewport)

// ---- tools

const button = name => tools.querySelector(`[data-tool="${name}"]`)

function choose(name) {
    tool = name
    for (const each of ['points', 'paint', 'erase']) button(each).setAttribute('aria-pressed', each === tool)
    tools.classList.toggle('painting', tool !== 'points')
    hidden = false
    showRegion()
}

const actions = {
    points: () => choose('points'), paint: () => choose('paint'), erase: () => choose('erase'),
    invert() {
        painted.globalCompositeOperation = 'xor'
        painted.fillStyle = 'white'
        painted.fillRect(0, 0, MASK_SIDE, MASK_SIDE)
        sendRegion()
    },
    clear() { clearMask(); sendRegion() },
    hide() { hidden = !hidden; showRegion() },
    load: () => find('.mask-file').click(),
    save: () => Object.assign(document.createElement('a'), {href: regionUrl(), download: 'region.png'}).click(),
    'zoom-in': () => setZoom(zoom * 1.5), 'zoom-out': () => setZoom(zoom / 1.5),
    full: () => document.fullscreenElement ? document.exitFullscreen() : find('.canvas').requestFullscreen(),
}
tools.addEventListener('click', event => actions[event.target.closest('[data-tool]')?.dataset.tool]?.())
find('.mask-file').addEventListener('change', event => {
    const [file] = event.target.files, image = new Image()
    image.onload = () => { drawMask(image); sendRegion(); URL.revokeObjectURL(image.src) }
    if (file) image.src = URL.createObjectURL(file)
    event.target.value = ''
})

const showBefore = on => before.classList.toggle('held', on && !!state.before)
for (const [type, on] of [['pointerdown', true], ['pointerup', false], ['pointerleave', false], ['pointercancel', false]])
    button('before').addEventListener(type, () => showBefore(on))
const typing = event => event.target.closest?.('input, textarea, select, [contenteditable=true]')
document.addEventListener('keydown', e => { if (e.key === 'b' && !typing(e) && !e.ctrlKey && !e.metaKey) showBefore(true) })
document.addEventListener('keyup', e => { if (e.key === 'b') showBefore(false) })
button('before').addEventListener('keydown', e => { if (e.key === ' ' || e.key === 'Enter') showBefore(true) })
button('before').addEventListener('keyup', () => showBefore(false))

// Words in the visitor's language: {name of a tool: its words}.
function name(words) {
    for (const each of element.querySelectorAll('[data-tool], [data-word]')) {
        const word = words[each.dataset.tool || each.dataset.word]
        each.title = word
        each.setAttribute('aria-label', word)
    }
    shown.alt = words.picture
}

choose('points')
setZoom(1)
watch('value', () => received(props.value))
received(props.value)
