"""The drag engine on a feature field whose answer is known, and on the real generator."""

import numpy as np
import pytest
import torch

from draggan.drag import PAPER, Drag, Settings, with_settings
from draggan.generators import Generator, load_generator


class Blobs(Generator):
    """A picture of two smooth patterns; the style moves the first: (x, y) shift in pixels = 20 styles[0, :2].

    The second pattern stays where it is, unless style 2 moves it. So where the styles must end is known.
    """

    name, resolution, num_rows, z_dim, w_dim = "blobs", 128, 2, 4, 4
    feature_resolutions, feature_resolution, free_rows, is_face = (64,), 64, 1, False

    def __init__(self):
        super().__init__()
        self.register_buffer("mean_w", torch.zeros(4))
        rng = np.random.RandomState(0)
        self.waves = torch.from_numpy(rng.randn(16, 2).astype(np.float32))
        self.calls = 0

    def features(self, styles, resolution=None):
        self.calls += 1
        n = resolution or self.feature_resolution
        ticks = (torch.arange(n) + 0.5) * self.resolution / n - 0.5
        y, x = torch.meshgrid(ticks, ticks, indexing="ij")
        grid = torch.stack((x, y), -1)
        w = styles[0, 0]
        maps = []
        for centre, shift in (((40.0, 64.0), w[:2] * 20), ((96.0, 64.0), torch.stack((w[2], w[2])) * 20)):
            local = grid - torch.tensor(centre) - shift
            window = torch.exp(-local.square().sum(-1) / (2 * 14.0**2))
            maps.append(torch.sin(local @ self.waves.T / 6) * window[..., None])
        return sum(maps).permute(2, 0, 1)[None]


def drag(generator=None, handles=((40, 64),), targets=((52, 58),), mask=None, styles=None, **settings):
    generator = generator or Blobs()
    base = Settings(lr=0.05, step=8, supervision_radius=12, tracking_radius=24, tolerance=4, max_steps=200)
    styles = torch.zeros(1, 2, 4) if styles is None else styles
    return Drag(
        generator, styles, np.array(handles), np.array(targets), mask, with_settings(base, **settings)
    )


def run(d):
    return list(d.run())


def test_it_moves_the_pattern_onto_the_target_and_says_so():
    d = drag()
    steps = run(d)
    assert d.stopped == "on target"
    moved = d.best_styles[0, 0, :2] * 20
    np.testing.assert_allclose(moved, [12, -6], atol=1.5)  # the known answer
    assert steps[-1].distances.max() <= 1.0  # 4 at 512 are 1 pixel of 128
    assert [s.number for s in steps] == list(range(1, len(steps) + 1))
    assert all(np.isfinite(s.loss) and s.seconds > 0 for s in steps)


def test_rows_that_are_not_free_stay():
    d = drag(styles=torch.full((1, 2, 4), 0.01))
    run(d)
    assert torch.equal(d.best_styles[:, 1], torch.full((1, 4), 0.01))
    assert not torch.equal(d.best_styles[:, 0], torch.full((1, 4), 0.01))


def test_w_mode_changes_all_free_rows_alike():
    d = drag(free_rows=2, w_plus=False)
    run(d)
    assert torch.equal(d.best_styles[:, 0], d.best_styles[:, 1])
    assert d.best_styles.abs().max() > 0.1


def test_several_points_and_a_pinned_one():
    d = drag(handles=((40, 64), (44, 60), (96, 64)), targets=((50, 64), (54, 60), (96, 64)))
    run(d)
    assert d.stopped == "on target"
    np.testing.assert_allclose(d.best_styles[0, 0, :3] * 20, [10, 0, 0], atol=1.5)


def test_a_point_on_target_holds_while_another_moves():
    # The style that moves the second pattern drags the first one along, unless that is held.
    coupled = Blobs()
    inner = coupled.features
    along = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0.5, 0, 1, 0], [0, 0, 0, 1]])
    coupled.features = lambda styles, resolution=None: inner(styles @ along, resolution)
    away = {}
    for hold in (True, False):
        d = drag(coupled, ((40, 64), (96, 64)), ((40, 64), (106, 74)), max_steps=60, hold=hold, step=2)
        run(d)
        away[hold] = abs(float((d.styles[0, 0] @ along)[0])) * 20
    print(away)
    assert away[True] <= 1.0
    assert away[True] < away[False]


def test_the_mask_holds_what_lies_outside():
    mask = np.zeros((128, 128), np.float32)
    mask[:, :70] = 1
    coupled = Blobs()
    inner = coupled.features
    mix = torch.tensor([[1.0, 0, 0.8, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]])
    coupled.features = lambda styles, resolution=None: inner(styles @ mix, resolution)  # style 0 moves both
    free, masked = drag(coupled, max_steps=60), drag(coupled, mask=mask, mask_weight=200.0, max_steps=60)
    run(free), run(masked)
    other = [abs(float((d.best_styles[0, 0] @ mix)[2])) for d in (free, masked)]
    assert other[1] < 0.5 * other[0]


def test_it_stops_without_progress_and_keeps_the_best_state():
    stuck = Blobs()
    inner = stuck.features
    stuck.features = lambda styles, resolution=None: inner(
        styles * torch.tensor([0.1, 0.1, 0, 0]).clamp(max=0.2)
    )
    d = drag(stuck, targets=((110, 64),), patience=15, min_progress=0.05)
    steps = run(d)
    assert d.stopped == "no progress"
    assert len(steps) < 200
    d = drag(targets=((100, 64),), max_steps=5)
    run(d)
    assert d.stopped == "step limit"


def test_the_best_state_is_the_result_not_the_last():
    d = drag(lr=2.0, max_steps=12, patience=50)  # far too fast: it jumps about
    steps = run(d)
    means = [s.distances.mean() for s in steps]
    assert means[-1] > min(means)
    assert not torch.equal(d.best_styles, d.styles)


def test_nan_never_becomes_the_result():
    broken = Blobs()
    inner = broken.features
    broken.features = lambda styles, resolution=None: (
        inner(styles) * (float("nan") if broken.calls >= 6 else 1.0)
    )
    d = drag(broken)
    run(d)
    assert d.stopped == "numbers ran away"
    assert torch.isfinite(d.best_styles).all()
    assert torch.isfinite(d.styles).all()


def test_going_on_keeps_the_optimiser():
    d = drag(max_steps=5, targets=((60, 64),))
    run(d)
    state = d._optimiser.state[d._change]["step"].item()
    d.set_points(np.array([[45.0, 64.0]]), np.array([[60.0, 64.0]]))
    run(d)
    assert d._optimiser.state[d._change]["step"].item() == state + 5
    assert d.steps_done == 10


def test_no_picture_is_drawn_and_one_synthesis_a_step():
    generator = Blobs()  # has no `image`: drawing one would raise
    d = drag(generator, max_steps=7, targets=((110, 20),))
    before = generator.calls
    run(d)
    assert generator.calls - before == 7


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"handles": ((200, 5),)}, "outside the image of 128x128"),
        ({"targets": ((float("nan"), 5),)}, "outside the image"),
        ({"handles": ((1, 2), (3, 4))}, "must both be"),
        ({"handles": np.zeros((0, 2)), "targets": np.zeros((0, 2))}, "must both be"),
        ({"mask": np.zeros((4, 4, 3))}, "mask must be"),
        ({"free_rows": 9}, "free_rows must be in 1-2"),
        ({"lr": -1.0}, "lr must be above 0"),
    ],
)
def test_bad_input_is_refused(change, says):
    with pytest.raises(ValueError, match=says):
        drag(**change)


def test_the_published_constants_work_too():
    d = Drag(
        Blobs(),
        torch.zeros(1, 2, 4),
        np.array([[40.0, 64]]),
        np.array([[46.0, 64]]),
        None,
        with_settings(PAPER, lr=0.05, free_rows=1),
    )
    first = d.step().distances.mean()
    for _ in range(60):
        last = d.step().distances.mean()
    assert last < 0.5 * first


def test_real_faces_move():
    generator = load_generator()
    handles, targets = np.array([[512.0, 700.0]]), np.array([[512.0, 740.0]])
    d = Drag(generator, generator.seed_styles(0), handles, targets, None, Settings(max_steps=15))
    steps = list(d.run())
    assert steps[-1].distances.mean() < 0.8 * steps[0].distances.mean()
