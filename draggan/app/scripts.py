"""What the page does by itself in the browser, as functions of JavaScript."""

import json

from draggan.app.texts import EN, ZH

READ_ALOUD = "() => document.getElementById('note')?.setAttribute('role', 'status')"  # by screen readers
RESET_SLIDERS = """() => document.addEventListener('dblclick', event => {
    const slider = event.target.closest('#sliders input[type=range]')
    if (!slider) return
    slider.value = 0
    slider.dispatchEvent(new Event('input', {bubbles: true}))
    slider.dispatchEvent(new PointerEvent('pointerup', {bubbles: true}))
})"""
# Whether an edit shows its points first is remembered by the browser.
REMEMBER = """() => {
    const box = document.querySelector('#points-first input'), key = 'draggan-points-first'
    if (!box) return
    if (localStorage.getItem(key) === '1' && !box.checked) box.click()
    box.addEventListener('change', () => localStorage.setItem(key, box.checked ? '1' : '0'))
}"""
# What changes the face is pressed below it on a phone: then the page goes to the picture.
TO_THE_PICTURE = """() => document.addEventListener('click', event => {
    const pressed = event.target.closest?.('#edits button, #choices button, #bring-in, #start')
    const picture = document.querySelector('#picture .viewport')
    if (!pressed || pressed.disabled || !picture) return
    const {top, bottom, height} = picture.getBoundingClientRect()
    if (Math.min(bottom, innerHeight) - Math.max(top, 0) > 0.6 * Math.min(height, innerHeight)) return
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches
    picture.scrollIntoView({block: 'start', behavior: still ? 'auto' : 'smooth'})
})"""
# The shown result stays in sight in a long history, and a long caption can be read in whole.
HISTORY_IN_SIGHT = """() => {
    const history = document.querySelector('#history')
    let last = ''
    const look = () => {
        for (const caption of history.querySelectorAll('.caption-label')) {
            const words = caption.textContent.trim()
            if (caption.title !== words) caption.title = words
        }
        const shown = history.querySelector('.thumbnail-item.selected')
        const all = [...history.querySelectorAll('.thumbnail-item')]
        const now = `${all.indexOf(shown)} of ${all.length}`
        if (!shown || now === last) return
        last = now
        const box = history.querySelector('.grid-wrap')
        const [inner, outer] = [shown.getBoundingClientRect(), box.getBoundingClientRect()]
        if (inner.top < outer.top + 34 || inner.bottom > outer.bottom)  // 34: the gallery's own heading
            box.scrollTop += inner.top - outer.top - (outer.height - inner.height) / 2
    }
    if (!history) return
    new MutationObserver(look).observe(history,
        {childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ['class']})
    look()
}"""
# Keys press the buttons of the page, unless somebody types; ? lists them. B is canvas.js's.
KEYS = """() => {
    const keys = {z: '#undo', y: '#redo', Enter: '#start', Escape: '#stop', n: '#random'}
    document.addEventListener('keydown', event => {
        const field = event.target.closest?.('input:not([type=range]):not([type=checkbox]), textarea, select')
        if (field || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return
        if (event.key === 'Enter' && event.target.closest?.('button, a, summary, [role=tab]')) return
        if (event.key === '?') {
            document.querySelector('#keys button')?.click()
            return setTimeout(() => document.querySelector('#keys')?.scrollIntoView({block: 'nearest'}), 300)
        }
        const button = document.querySelector(keys[event.key])
        if (button && !button.disabled) { event.preventDefault(); button.click() }
    })
}"""
# Who this page is, so that it finds its session when it is loaded again. A copy of the page is somebody else: the
# browser copies what a page keeps, but only a page that was left has said so.
VISITOR = """() => {
    const again = sessionStorage.getItem('draggan-left')
    sessionStorage.removeItem('draggan-left')
    window.addEventListener('pagehide', () => sessionStorage.setItem('draggan-left', '1'))
    let visitor = again && sessionStorage.getItem('draggan-visitor')
    if (!visitor) {
        visitor = crypto.getRandomValues(new Uint32Array(4)).join('-')
        sessionStorage.setItem('draggan-visitor', visitor)
    }
    return visitor
}"""
# Results that were not downloaded: the browser asks before the page is left.
UNSAVED = """() => {
    let saved = 1
    const results = () => document.querySelectorAll('#history .thumbnail-item').length
    document.addEventListener('click', event => {
        if (event.target.closest('#downloads button, #downloads a')) saved = results()
    })
    window.addEventListener('beforeunload', event => { if (results() > saved) event.preventDefault() })
}"""

# Leaving the seed's field says its text again. What was in it before, or was sent by Enter, is no new wish: in the
# meantime another face may have been chosen. What was in it is looked up at once: Gradio tells of the focus later, when
# a new text may be there already.
SEED_BEFORE = """() => document.addEventListener('focusin', event => {
    const field = event.target.closest?.('#seed input, #seed textarea')
    if (field) window.dragganSeed = field.value
})"""
SEED_SEEN = "text => { window.dragganSeed = text; return text }"
SEED_IF_NEW = "text => text === window.dragganSeed ? null : text"

# What Gradio itself says, in English on every page: its toasts, and what screen readers hear of its parts. Told in the
# page's words and language; what is not known here stays as it is.
_WORDS = json.dumps(
    [
        {name: words[f"gradio_{name}"] for name in ("error", "kind", "size", "lost", "reset")}
        for words in (EN, ZH)
    ]
)
IN_OUR_WORDS = f"""() => {{
    const words = {_WORDS}[Number(navigator.language.toLowerCase().startsWith('zh'))]
    const known = [
        [/^Invalid file types?: (.+?)\\. Only .* allowed\\.$/, words.kind],
        [/maximum allowed size|File size exceeded/i, words.size],
        [/^Connection (to the server was lost|errored out)/, words.lost],
    ]
    const retell = (selector, tell) => document.querySelectorAll(selector).forEach(element => {{
        const said = element.textContent.trim(), told = tell(said)
        if (told !== said) element.textContent = told
    }})
    const rename = (name, tell) => document.querySelectorAll(`[aria-label^="${{name}}"]`).forEach(
        element => element.setAttribute('aria-label', tell(element.getAttribute('aria-label'))))
    const all = () => {{
        retell('.toast-message-text', said => {{
            const [pattern, told] = known.find(([pattern]) => pattern.test(said)) ?? []
            return told ? told.replace('{{name}}', said.match(pattern)[1] ?? '') : said
        }})
        retell('.toast-title', said => /^(Error|Connection Lost)$/.test(said) ? words.error : said)
        for (const start of ['number input for ', 'range slider for ']) rename(start, name => name.slice(start.length))
        rename('Reset to default value', () => words.reset)
    }}
    new MutationObserver(all).observe(document.body, {{childList: true, subtree: true}})
    all()
}}"""
