"""Schedules and sampled numbers of diffusers, for the tests beside this file.

    python reference.py > reference.json          what is committed
    python reference.py --wide > wide.json        every number of steps to 120 and many shifts, for a look by hand:
                                                  SAMPLER_REFERENCE=wide.json cargo test -p thumbforge-diffusion sampler

The model that is sampled is a toy whose singles come out the same everywhere: v = x/2 + (t/1024 + i/16), for number i of
the latents. Ancestral noise is 0.75, -0.5, 0.25, ... likewise.
Made with torch 2.11.0 and diffusers 0.42.1.
"""
import json
import sys

import torch
from diffusers import (
    DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler,
    StableDiffusion3Img2ImgPipeline,
)

MAKE = {
    "Euler (flow)": lambda shift: FlowMatchEulerDiscreteScheduler(shift=shift),
    "Heun (flow)": lambda shift: FlowMatchHeunDiscreteScheduler(shift=shift),
    "DPM++ 2M (flow)": lambda shift: DPMSolverMultistepScheduler(
        use_flow_sigmas=True, flow_shift=shift, prediction_type="flow_prediction", solver_order=2),
}


class Pipeline:
    """What `get_timesteps` of the pipelines needs of them."""

    def __init__(self, scheduler):
        self.scheduler = scheduler


def numbers(tensor):
    return [float(x) for x in tensor]


def schedule(name, steps, shift):
    scheduler = MAKE[name](shift)
    scheduler.set_timesteps(steps)
    return {"method": name, "steps": steps, "shift": shift, "sigmas": numbers(scheduler.sigmas.float()),
            "times": numbers(scheduler.timesteps.float())}


def walk(name, steps, shift, strength):
    scheduler = MAKE[name](shift)
    scheduler.set_timesteps(steps)
    # The pipelines cannot noise a picture for DPM++, but their count of steps is the same for all.
    times, _ = StableDiffusion3Img2ImgPipeline.get_timesteps(Pipeline(scheduler), steps, strength, "cpu")
    index = torch.arange(8, dtype=torch.float32)
    x = (index - 3.5) * 0.375
    start = None
    if strength < 1 and hasattr(scheduler, "scale_noise"):
        start = scheduler.scale_noise(x, times[:1], index * 0.25 - 1)
        x = start
    seen = []
    for t in times:
        v = x * 0.5 + (t.float() / 1024 + index / 16)
        x = scheduler.step(v, t, x, return_dict=False)[0]
        seen.append(numbers(x))
    return {"method": name, "steps": steps, "shift": shift, "strength": strength, "times": numbers(times.float()),
            "start": start if start is None else numbers(start), "latents": seen}


def ancestral(steps, shift):
    """The formula of the ancestral step for rectified flows, eta 1, over Euler's sigmas, in doubles."""
    scheduler = MAKE["Euler (flow)"](shift)
    scheduler.set_timesteps(steps)
    index = torch.arange(8, dtype=torch.float64)
    x, seen = (index - 3.5) * 0.375, []
    for at, t in enumerate(scheduler.timesteps.double()):
        sigma, after = scheduler.sigmas[at].double(), scheduler.sigmas[at + 1].double()
        picture = x - sigma * (x * 0.5 + (t / 1024 + index / 16))
        if after == 0:
            x = picture
        else:
            down = after * after / sigma
            x = down / sigma * x + (1 - down / sigma) * picture
            share = (1 - after) / (1 - down)
            noise = 0.75 - 0.25 * ((index + 5 * at) % 7)
            x = share * x + (after**2 - (down * share) ** 2).clamp(min=0).sqrt() * noise
        seen.append(numbers(x))
    return {"method": "Euler ancestral (flow)", "steps": steps, "shift": shift, "strength": 1.0,
            "times": numbers(scheduler.timesteps), "start": None, "latents": seen}


def main():
    wide = "--wide" in sys.argv
    steps = range(1, 121) if wide else (1, 2, 7, 28)
    shifts = (0.5, 1.0, 1.7, 2.0, 3.0, 3.1, 5.0, 6.5, 12.0) if wide else (1.0, 3.0, 5.7)
    walks = [(n, s, 1.0) for n in MAKE for s in (1, 2, 5)]
    walks += [(n, s, g) for n in MAKE for s, g in ((10, 0.6), (7, 0.3), (28, 0.35))]
    if wide:
        walks += [(n, s, g / 20) for n in MAKE for s in range(2, 60) for g in range(1, 20) if int(s * g / 20) > 0]
    out = {"schedules": [schedule(n, s, f) for n in MAKE for s in steps for f in shifts],
           "walks": [walk(n, s, 3.0, g) for n, s, g in walks] + [ancestral(s, 3.0) for s in (1, 2, 6)]}
    print(json.dumps(out, separators=(",", ":")))


main()
