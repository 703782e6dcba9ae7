"""What the page does by itself in the browser, as functions of JavaScript."""

READ_ALOUD = "() => document.getElementById('note')?.setAttribute('role', 'status')"  # by screen readers
RESET_SLIDERS = """() => document.addEventListener('dblclick', event => {
    const slider = event.target.closest('#sliders input[type=range]')
    if (!slider) return
    slider.value = 0
    slider.dispatchEvent(new Event('input', {bubbles: true}))
    slider.dispatchEvent(new PointerEvent('pointerup', {bubbles: true}))
})"""
