"""What the page does by itself in the browser, as functions of JavaScript."""

READ_ALOUD = "() => document.getElementById('note')?.setAttribute('role', 'status')"  # by screen readers
RESET_SLIDERS = """() => document.addEventListener('dblclick', event => {
    const slider = event.target.closest('#sliders input[type=range]')
    if (!slider) return
    slider.value = 0
    slider.dispatchEvent(new Event('input', {bubbles: true}))
    slider.dispatchEvent(new PointerEvent('pointerup', {bubbles: true}))
})"""
# While a new picture loads, its size is unknown, and Gradio drops a click on it: clicks wait, in their order.
CLICKS_WAIT = """() => {
    const waiting = [], picture = () => document.querySelector('#picture img')
    const pass = () => {
        if (picture().complete) picture().dispatchEvent(new MouseEvent('click', waiting.shift()))
        if (waiting.length) setTimeout(pass, 30)
    }
    window.addEventListener('click', event => {
        if (event.target !== picture() || !event.isTrusted || (picture().complete && !waiting.length)) return
        event.stopImmediatePropagation()
        if (waiting.push(event) === 1) setTimeout(pass, 30)
    }, true)
}"""
