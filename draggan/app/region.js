// The region of the picture that may change: white in `mask`, and what lies outside is shown darker.
// It stands before canvas.js, whose names it uses.

const MASK_SIDE = 512       // pixels
let hidden = false          // the region is not shown
let regionShown = null      // the region that `mask` holds, as the server has it

const mask = Object.assign(document.createElement('canvas'), {width: MASK_SIDE, height: MASK_SIDE})
const painted = mask.getContext('2d', {willReadFrequently: true})
let free = true             // there is no region: the whole picture may change

function showRegion() {
    const pen = overlay.getContext('2d')
    pen.globalCompositeOperation = 'source-over'
    pen.clearRect(0, 0, MASK_SIDE, MASK_SIDE)
    if (free || hidden) return
    pen.fillStyle = 'rgba(0, 0, 0, .45)'
    pen.fillRect(0, 0, MASK_SIDE, MASK_SIDE)
    pen.globalCompositeOperation = 'destination-out'
    pen.filter = 'blur(1.5px)'  // no stairs along its border
    pen.drawImage(mask, 0, 0)
    pen.filter = 'none'
}

function clearMask() {
    painted.globalCompositeOperation = 'source-over'
    painted.clearRect(0, 0, MASK_SIDE, MASK_SIDE)
}

// Brightness becomes opacity; a picture with transparency counts where it is opaque.
function drawMask(image) {
    clearMask()
    painted.drawImage(image, 0, 0, MASK_SIDE, MASK_SIDE)
    const pixels = painted.getImageData(0, 0, MASK_SIDE, MASK_SIDE), d = pixels.data
    for (let i = 0; i < d.length; i += 4) {
        d[i + 3] = Math.max(d[i], d[i + 1], d[i + 2]) > 127 && d[i + 3] > 127 ? 255 : 0
        d[i] = d[i + 1] = d[i + 2] = 255
    }
    painted.putImageData(pixels, 0, 0)
}

function readRegion(url) {
    regionShown = url
    free = !url
    if (free) return clearMask(), showRegion()
    const image = new Image()
    image.onload = () => { if (regionShown === url) { drawMask(image); showRegion() } }
    image.src = url
}

function regionUrl() {
    const flat = Object.assign(document.createElement('canvas'), {width: MASK_SIDE, height: MASK_SIDE})
    const pen = flat.getContext('2d')
    pen.fillRect(0, 0, MASK_SIDE, MASK_SIDE)
    pen.drawImage(mask, 0, 0)
    return flat.toDataURL('image/png')
}

function sendRegion() {
    free = !painted.getImageData(0, 0, MASK_SIDE, MASK_SIDE).data.some((v, i) => i % 4 === 3 && v > 127)
    regionShown = null
    showRegion()
    send({op: 'region', png: free ? null : regionUrl()})
}

function stroke(from, to) {
    const scale = MASK_SIDE / state.size, width = +find('.brush-size').value / zoom
    painted.globalCompositeOperation = tool === 'erase' ? 'destination-out' : 'source-over'
    painted.strokeStyle = 'white'
    painted.lineCap = 'round'
    painted.lineWidth = width * MASK_SIDE / (viewport.clientWidth || MASK_SIDE)
    painted.beginPath()
    painted.moveTo((from[0] + .5) * scale, (from[1] + .5) * scale)
    painted.lineTo((to[0] + .5) * scale + .01, (to[1] + .5) * scale)
    painted.stroke()
    free = false
    showRegion()
}
