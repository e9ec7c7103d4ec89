"""What is computed: a table of cases, and the maker of each kind."""
import contextlib
import copy
import random

import numpy as np
import torch
from diffusers import (
    DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler,
    StableDiffusion3Img2ImgPipeline, StableDiffusion3InpaintPipeline,
)
from PIL import Image
from safetensors.torch import save_file

import lora
import models
import names
import weights

PROMPT = "A lighthouse above the harbour at dawn, watercolour, highly detailed"
NEGATIVE = "blurry, low quality"
# Longer than 77 tokens of either vocabulary, and with characters that normalisers change.
LONG = ("Isometric icon of a treasure chest with gold coins, game asset, white background; " * 3
        + "caf\u00e9 \ufb01sh \uff21\u00a0\u201cSALE\u201d 50% off, don't draw what isn't there \U0001F41F naïve na\u00efve")


def table(more):
    """Models by name, and cases. With `more`, configurations drawn by that seed stand at the end."""
    variant = models.variant
    large = variant(seed=2, mmdit__depth=5, mmdit__hidden=128, mmdit__heads=2, mmdit__dual=[], mmdit__position_side=32)
    known = {
        "medium": models.MEDIUM,
        "large": large,
        # A second attention in the last block and not in the first, the smallest table that fits, an identity nowhere.
        "late": variant(seed=3, mmdit__depth=3, mmdit__hidden=320, mmdit__heads=5, mmdit__dual=[1, 2],
                        mmdit__position_side=9, clip_l_identity=False, clip_l__projection=96, clip_l__heads=4,
                        clip_l__end=813, clip_g__heads=6, vae__channels=[16, 32, 32], vae__layers=2, vae__groups=8,
                        t5__heads=3, t5__head=48, t5__buckets=20, t5__distance=60, shift=1.5),
        # As Stable Diffusion 3 has it: no norms of q and k. Two levels of the autoencoder alone, and few blocks.
        "plain": variant(seed=4, mmdit__depth=2, mmdit__hidden=128, mmdit__heads=2, mmdit__dual=[], mmdit__qk_norm=False,
                         mmdit__position_side=16, vae__channels=[32, 32], vae__groups=4, vae__scaling=0.9,
                         vae__shift=-0.2, shift=1.0),
        # So little goes in that what norms add to variances shows.
        "faint": variant(seed=5, mmdit__depth=2, mmdit__hidden=128, mmdit__heads=2, mmdit__dual=[0], faint=1 / 256),
    }
    mmdit = lambda name, model, latent, tokens, batch=1, timestep=731.25, skip=(): {
        "kind": "mmdit", "name": f"mmdit/{name}", "model": model, "latent": latent, "tokens": tokens, "batch": batch,
        "timestep": timestep, "skip": list(skip)}
    vae = lambda way, name, model, size: {"kind": f"vae_{way}", "name": f"vae_{way}/{name}", "model": model, "size": size}
    text = lambda name, model, prompt, length=256, t5=True, **each: {
        "kind": "text", "name": f"text/{name}", "model": model, "prompt": prompt, "t5_tokens": length, "t5": t5, **each}
    randn = lambda seed, *draws: {"kind": "randn", "name": f"randn/{seed}-{len(draws)}", "seed": seed, "draws": list(draws)}
    sampler = lambda which, steps, shift, strength=1.0: {
        "kind": "sampler", "name": f"sampler/{which}-{steps}-{shift}-{strength}", "sampler": which, "steps": steps,
        "shift": shift, "strength": strength}
    image = lambda name, model, steps, size, guidance=4.5, seed=11, **more: {
        "kind": "image", "name": f"image/{name}", "model": model, "steps": steps, "size": size, "guidance": guidance,
        "seed": seed, "prompt": PROMPT, "negative": NEGATIVE, **more}

    found = [
        mmdit("medium", "medium", [16, 12], 77 + 256),
        mmdit("medium-batch", "medium", [10, 14], 77, batch=2, timestep=8.9286),
        mmdit("medium-skip", "medium", [8, 8], 77, skip=[1, 3]),
        mmdit("medium-odd", "medium", [6, 26], 20, timestep=1000.0),
        mmdit("large", "large", [12, 18], 77 + 40),
        mmdit("large-whole-table", "large", [2, 64], 77),
        mmdit("late", "late", [18, 10], 77, timestep=250.5),
        mmdit("plain", "plain", [14, 6], 77, batch=2, timestep=0.5),
        mmdit("faint", "faint", [8, 4], 77, skip=[1]),
        vae("decode", "faint", "faint", [4, 3]),
        vae("encode", "faint", "faint", [16, 24]),
        text("faint", "faint", PROMPT, 77),
        vae("decode", "medium", "medium", [6, 10]),
        vae("decode", "late", "late", [5, 7]),
        vae("decode", "plain", "plain", [3, 3]),
        vae("encode", "medium", "medium", [48, 80]),
        vae("encode", "late", "late", [28, 20]),
        vae("encode", "plain", "plain", [34, 14]),
        text("medium", "medium", PROMPT),
        text("medium-empty", "medium", "", 77),
        text("medium-long", "medium", LONG, 77),
        text("medium-each", "medium", PROMPT, 100, prompt_2="a red castle", prompt_3=LONG),
        text("medium-without-t5", "medium", PROMPT, 77, t5=False),
        text("late", "late", LONG, 128),
        randn(0, 1, 15, 16, 17, 33, 100), randn(42, 5, 5, 64, 3, 48), randn((1 << 32) + 12345, 16, 7, 250),
        randn((1 << 53) - 1, 31, 16),
        *(sampler("euler", steps, shift) for steps, shift in ((28, 3.0), (4, 3.0), (1, 3.0), (20, 1.0), (7, 6.5))),
        sampler("euler", 28, 3.0, 0.6), sampler("euler", 10, 3.0, 0.25), sampler("euler", 5, 3.0, 0.99),
        *(sampler("heun", steps, shift) for steps, shift in ((10, 3.0), (2, 1.5))),
        *(sampler("dpmpp_2m", steps, shift) for steps, shift in ((20, 3.0), (3, 1.0), (28, 3.0))),
        *(sampler("euler_ancestral", steps, shift) for steps, shift in ((12, 3.0), (3, 1.0))),
        image("medium-28", "medium", 28, [48, 80]),
        image("medium-slg", "medium", 10, [64, 48], slg={"layers": [1, 2], "scale": 2.8, "start": 0.01, "stop": 0.5}),
        image("medium-img2img", "medium", 8, [48, 64], image=5, strength=0.6),
        image("medium-inpaint", "medium", 6, [64, 64], image=5, strength=0.85, mask=[12, 20, 50, 41]),
        image("medium-inpaint-whole", "medium", 4, [48, 48], image=5, strength=1.0, mask=[0, 0, 30, 25], seed=1 << 40),
        image("medium-lora", "medium", 4, [48, 48], lora={"seed": 9, "rank": 3, "alpha": 2.0, "weight": 0.7}),
        image("large-turbo", "large", 4, [32, 96], guidance=1.0),
        image("large-two", "large", 3, [48, 32], images=2),
        image("late", "late", 5, [72, 40], guidance=7.0),
        image("plain-without-t5", "plain", 6, [28, 20], guidance=2.0, t5=False),
    ]
    for place in range(0 if more is None else 8):
        chance = random.Random(f"{more}/{place}")
        name = f"chance{place}"
        heads, depth = chance.randint(2, 5), chance.randint(2, 5)
        known[name] = variant(
            seed=1000 + chance.randrange(1 << 40), mmdit__depth=depth, mmdit__hidden=64 * heads, mmdit__heads=heads,
            mmdit__dual=chance.choice(([], list(range(chance.randint(1, depth))), sorted(chance.sample(range(depth), 1)))),
            mmdit__qk_norm=chance.random() < 0.8, mmdit__position_side=chance.randint(8, 40),
            clip_l__layers=chance.randint(2, 4), clip_l__act=chance.choice(("quick_gelu", "gelu")),
            clip_l__heads=chance.choice((1, 2, 4)), clip_g__heads=chance.choice((1, 3, 6)),
            clip_l_identity=chance.random() < 0.5, vae__layers=chance.randint(1, 3),
            vae__channels=chance.choice(([32, 64, 64, 96], [32, 32, 64], [64, 32, 96, 128], [32, 64])),
            vae__groups=chance.choice((4, 8, 16, 32)), t5__heads=chance.randint(2, 5), t5__head=chance.choice((16, 32, 64)),
            t5__layers=chance.randint(1, 4), shift=chance.choice((1.0, 2.0, 3.0, 4.5)))
        side = known[name]["mmdit"]["position_side"]
        latent = lambda: 2 * chance.randint(1, min(side, 12))
        factor = 1 << (len(known[name]["vae"]["channels"]) - 1)
        # The program draws nothing smaller than 16 pixels.
        size = [max(factor * latent(), 16), max(factor * latent(), 16)]
        slg = {"slg": {"layers": [chance.randrange(depth)], "scale": 2.5, "start": 0.0, "stop": 0.7}}
        again = {"image": 3, "strength": chance.uniform(0.3, 1.0)}
        within = again | {"mask": [1, 1, size[1] // 2 + 2, size[0] - 1]}
        adapted = {"lora": {"seed": place, "rank": 4, "alpha": 3.0, "weight": 1.2}}
        # Left-out layers need a guidance above 1, which every third has.
        kinds = (slg, again, within, {}, adapted, within, slg, adapted)
        found += [
            mmdit(name, name, [latent(), latent()], 77 + chance.choice((0, 77, 256)), batch=chance.randint(1, 3),
                  timestep=chance.uniform(1, 1000), skip=chance.choice(([], [], [chance.randrange(depth)]))),
            vae("decode", name, name, [chance.randint(1, 9), chance.randint(1, 9)]),
            vae("encode", name, name, [factor * chance.randint(1, 9), factor * chance.randint(1, 9)]),
            text(name, name, chance.choice((PROMPT, LONG, NEGATIVE)), chance.choice((77, 256, 333)), chance.random() < 0.7),
            sampler(chance.choice(("euler", "heun", "dpmpp_2m", "euler_ancestral")), chance.randint(2, 50),
                    known[name]["shift"]),
            randn(chance.randrange(1 << 53), 1000 * chance.randint(1, 90) + 7, *(chance.randint(1, 200) for _ in range(6))),
            image(name, name, chance.randint(2, 28), size, guidance=chance.choice((1.0, 3.5, 7.0)) if place % 3 else 5.0,
                  seed=chance.randrange(1 << 50), t5=chance.random() < 0.7, **kinds[place]),
        ]
    return known, found


def picture(seed, height, width):
    """A picture of 8 bits per channel that a seed decides, smooth enough to be told from noise: `[h, w, 3]`."""
    noise = weights.gauss(seed, "picture", height * width * 3, 30.0).reshape(height, width, 3)
    slope = np.arange(width, dtype=np.float32)[None, :, None] * np.float32(128 / width) + np.float32(64)
    return np.clip(np.floor(noise + slope), 0, 255).astype(np.uint8)


def rectangle(mask, height, width):
    """255 within `[left, top, right, bottom]`."""
    left, top, right, bottom = mask
    made = np.zeros((height, width), np.uint8)
    made[top:bottom, left:right] = 255
    return made


def distance(rough, out):
    """The root of the mean square of the difference in parts of that of `out`: how far torch's own bf16 is from its f32,
    which is the yardstick for ours."""
    return float((rough.float() - out).square().mean().sqrt() / out.square().mean().sqrt())


def rows(count):
    """Which rows of a text's features are kept: the first, some from the middle, the last."""
    return sorted({row for row in (*range(10), 40, 75, 76, 77, 78, 79, 90, 130, 200, 331, 332, count - 1) if row < count})


def velocity(sample, sigma):
    """A model's answer that no sampler can take for another: not linear in the sample, and different at every sigma."""
    return 0.8 * sample - 0.3 * sigma * sample * sample / (1 + sample * sample) - 0.5 + sigma


class Maker:
    def __init__(self, known, folder, files):
        self.known, self.folder, self.files = known, folder, files
        self.pipelines = {}

    def make(self, case):
        return getattr(self, case["kind"])(case)

    def pipeline(self, case):
        """The model's pipeline, made once; a case without T5 gets it without."""
        name, with_t5 = case["model"], case.get("t5", True)
        if name not in self.pipelines:
            self.pipelines[name] = models.pipeline(self.known[name], self.folder / "tokenizers")
        made = self.pipelines[name]
        if self.files:
            self.write(name, made)
        if with_t5:
            return made
        parts = made.components | {"text_encoder_3": None, "tokenizer_3": None}
        return self.quiet(type(made)(**parts))

    @staticmethod
    def quiet(made):
        made.set_progress_bar_config(disable=True)
        return made

    def write(self, name, made):
        """The model in every layout, for programs that read files."""
        folder = self.folder / "models" / name
        if folder.exists():
            return
        made.save_pretrained(folder / "diffusers")
        made.save_pretrained(folder / "sharded", max_shard_size="1MB")
        models.write_single(self.known[name], made, folder / "inside", inside=True)
        models.write_single(self.known[name], made, folder / "apart", inside=False)

    def input(self, case, name, *shape, deviation=1.0):
        values = weights.gauss(0, f"{case['name']}/{name}", int(np.prod(shape)), deviation)
        return torch.from_numpy(values.reshape(shape))

    def mmdit(self, case):
        model, made = self.known[case["model"]], self.pipeline(case).transformer
        batch, (height, width) = case["batch"], case["latent"]
        given = dict(
            hidden_states=self.input(case, "latent", batch, model["mmdit"]["in_channels"], height, width),
            encoder_hidden_states=self.input(case, "context", batch, case["tokens"], model["mmdit"]["context"]),
            pooled_projections=self.input(case, "pooled", batch, model["mmdit"]["pooled"]),
            timestep=torch.full((batch,), case["timestep"]))
        run = lambda made, given: made(**given, skip_layers=case["skip"] or None).sample
        out = run(made, given)
        rough = {key: value if key == "timestep" else value.bfloat16() for key, value in given.items()}
        case["bf16_rms"] = distance(run(copy.deepcopy(made).bfloat16(), rough), out)
        return {"out": out}

    def vae_decode(self, case):
        made, latent = self.pipeline(case).vae, self.known[case["model"]]["vae"]["latent"]
        given = self.input(case, "latent", 1, latent, *case["size"])
        out = made.decode(given).sample
        # Norms over a pixel or two divide by next to nothing, and so does their rounding.
        if case["size"][0] * case["size"][1] >= 9:
            case["bf16_rms"] = distance(copy.deepcopy(made).bfloat16().decode(given.bfloat16()).sample, out)
        return {"out": out}

    def vae_encode(self, case):
        made = self.pipeline(case).vae
        given = self.input(case, "picture", 1, 3, *case["size"], deviation=0.5).clamp(-1, 1)
        moments = made.encode(given).latent_dist
        return {"mean": moments.mean, "logvar": moments.logvar}

    def text(self, case):
        made = self.pipeline(case)
        prompts = [case["prompt"], case.get("prompt_2", case["prompt"]), case.get("prompt_3", case["prompt"])]
        out = {}
        for place, (tokenizer, prompt, length) in enumerate(
                zip((made.tokenizer, made.tokenizer_2, made.tokenizer_3), prompts, (77, 77, case["t5_tokens"]))):
            if tokenizer is not None:
                ids = tokenizer(prompt, padding="max_length", max_length=length, truncation=True).input_ids
                out[f"ids{place}"] = np.asarray(ids, np.int32)
        encode = lambda made: made.encode_prompt(
            *prompts, device="cpu", do_classifier_free_guidance=False, max_sequence_length=case["t5_tokens"])[::2]
        embeds, pooled = encode(made)
        rough = {name: copy.deepcopy(part).bfloat16() if name.startswith("text_encoder") and part else part
                 for name, part in made.components.items()}
        case["bf16_rms"], case["bf16_rms_pooled"] = map(distance, encode(type(made)(**rough)), (embeds, pooled))
        case["tokens"], case["rows"] = embeds.shape[1], rows(embeds.shape[1])
        return out | {"embeds": embeds[0, case["rows"]], "pooled": pooled[0]}

    def randn(self, case):
        generator = torch.Generator().manual_seed(case["seed"])
        return {f"draw{place}": torch.randn(count, generator=generator) for place, count in enumerate(case["draws"])}

    def sampler(self, case):
        """Some numbers through a whole schedule with a made-up model."""
        steps, shift, start = case["steps"], case["shift"], 0
        sample = self.input(case, "noise", 24)
        if case["sampler"] == "euler_ancestral":
            return self.ancestral(case, sample)
        scheduler = {
            "euler": lambda: FlowMatchEulerDiscreteScheduler(shift=shift),
            "heun": lambda: FlowMatchHeunDiscreteScheduler(shift=shift),
            "dpmpp_2m": lambda: DPMSolverMultistepScheduler(
                prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift),
        }[case["sampler"]]()
        scheduler.set_timesteps(steps)
        timesteps = scheduler.timesteps
        if case["strength"] < 1:
            start = int(max(steps - min(steps * case["strength"], steps), 0))
            timesteps = timesteps[start:]
            scheduler.set_begin_index(start)
            sample = scheduler.scale_noise(self.input(case, "latent", 24), timesteps[:1], sample)
        out = {"sigmas": scheduler.sigmas[start:].clone(), "timesteps": timesteps.clone(), "start": sample}
        for timestep in timesteps:
            sample = scheduler.step(velocity(sample, timestep / 1000), timestep, sample, return_dict=False)[0]
        return out | {"end": sample}

    def ancestral(self, case, sample):
        """Euler with fresh noise for flow models. With x = (1 - s) x0 + s n, one step goes down to `down` and back up to
        the next sigma with noise, so that the share of x0 is that of the next sigma: `down = next · (1 + (next / s - 1))`
        for eta 1, `share = (1 - next) / (1 - down)`, and the noise has what is missing of the variance."""
        scheduler = FlowMatchEulerDiscreteScheduler(shift=case["shift"])
        scheduler.set_timesteps(case["steps"])
        sigmas = scheduler.sigmas.double()
        draws = self.input(case, "draws", case["steps"], 24).double()
        out = {"sigmas": scheduler.sigmas.clone(), "timesteps": scheduler.timesteps.clone(), "start": sample}
        sample = sample.double()
        for place in range(case["steps"]):
            sigma, following = sigmas[place], sigmas[place + 1]
            denoised = sample - sigma * velocity(sample, sigma)
            if following == 0:
                sample = denoised
                continue
            down = following * (1 + (following / sigma - 1))
            sample = down / sigma * sample + (1 - down / sigma) * denoised
            share = (1 - following) / (1 - down)
            missing = (following**2 - down**2 * share**2).clamp(min=0).sqrt()
            sample = share * sample + missing * draws[place]
        return out | {"end": sample.float()}

    def image(self, case):
        made, model = self.pipeline(case), self.known[case["model"]]
        height, width = case["size"]
        given = dict(
            prompt=case["prompt"], negative_prompt=case["negative"], num_inference_steps=case["steps"],
            guidance_scale=case["guidance"], height=height, width=width, output_type="pil",
            num_images_per_prompt=case.get("images", 1), generator=torch.Generator().manual_seed(case["seed"]))
        if "image" in case:
            source = Image.fromarray(picture(case["image"], height, width))
            given |= {"image": source, "strength": case["strength"]}
            self.keep(case, "image", source)
            kind = StableDiffusion3Img2ImgPipeline
            if "mask" in case:
                mask = Image.fromarray(rectangle(case["mask"], height, width))
                given["mask_image"] = mask
                self.keep(case, "mask", mask)
                kind = StableDiffusion3InpaintPipeline
            made = self.quiet(kind(**{key: value for key, value in made.components.items() if key in
                                      kind.__init__.__code__.co_varnames}))
        if "slg" in case:
            slg = case["slg"]
            given |= {"skip_guidance_layers": slg["layers"], "skip_layer_guidance_scale": slg["scale"],
                      "skip_layer_guidance_start": slg["start"], "skip_layer_guidance_stop": slg["stop"]}
        with self.adapter(case, made):
            images = made(**given).images
        for place, image in enumerate(images):
            self.keep(case, f"expected{place}", image)
        return {"pixels": np.stack([np.asarray(image) for image in images])}

    @contextlib.contextmanager
    def adapter(self, case, made):
        if "lora" not in case:
            yield
            return
        wanted = case["lora"]
        folder = self.folder / "loras" / case["name"].split("/")[-1]
        folder.mkdir(parents=True, exist_ok=True)
        spelled = lora.spellings(wanted, self.known[case["model"]]["mmdit"])
        for spelling, (state, metadata) in spelled.items():
            save_file(state, folder / f"{spelling}.safetensors", metadata=metadata)
        made.load_lora_weights(folder, weight_name="peft.safetensors", adapter_name="toy")
        made.set_adapters(["toy"], [wanted["weight"]])
        yield
        made.unload_lora_weights()
        if not self.files:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
            folder.parent.rmdir()

    def keep(self, case, name, image):
        if self.files:
            folder = self.folder / "images" / case["name"].split("/")[-1]
            folder.mkdir(parents=True, exist_ok=True)
            image.save(folder / f"{name}.png")
