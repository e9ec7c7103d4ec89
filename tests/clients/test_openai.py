"""OpenAI's own Python client against a sidecar: what it asks for it gets, what fails it raises as its own exceptions,
and what it asks again makes no second picture."""

import base64
import struct
import unittest
import zlib

import openai

import rig


def png(width, height, alpha=None):
    """A picture; with `alpha` its left half is that clear."""
    colour, kind = (b"\x20\x80\xc0", 2) if alpha is None else (None, 6)
    rows = b""
    for _ in range(height):
        half = width // 2
        rows += b"\0" + (
            colour * width if alpha is None else b"\0\0\0" + bytes([alpha]) + b"".join(
                b"\0\0\0" + bytes([alpha if x < half else 255]) for x in range(1, width)
            )
        )
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def size(picture):
    """Width and height of a PNG."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n"), picture[:16]
    return struct.unpack(">II", picture[16:24])


def client(url, **options):
    return openai.OpenAI(base_url=f"{url}/v1", api_key="sk-unused", **{"max_retries": 2, "timeout": rig.PATIENCE, **options})


class BuiltIn(unittest.TestCase):
    """Pictures of the built-in engine: nothing is bought."""

    @classmethod
    def setUpClass(cls):
        cls.sidecar = rig.Sidecar()
        cls.client = client(cls.sidecar.url)

    @classmethod
    def tearDownClass(cls):
        cls.sidecar.end()

    def generate(self, prompt="a red sword", **options):
        return self.client.images.generate(**{"prompt": prompt, "model": "builtin", "size": "64x48", **options})

    def test_a_picture(self):
        answer = self.generate()
        self.assertIsInstance(answer.created, int)
        self.assertEqual(size(base64.b64decode(answer.data[0].b64_json)), (64, 48))
        self.assertEqual(answer.size, "64x48")
        self.assertEqual(answer.output_format, "png")
        self.assertIsNone(answer.usage)
        self.assertEqual(self.generate().data[0].b64_json, answer.data[0].b64_json)

    def test_a_picture_by_address(self):
        import urllib.request

        url = self.generate(response_format="url").data[0].url
        with urllib.request.urlopen(url) as answer:
            self.assertEqual(size(answer.read()), (64, 48))

    def test_several(self):
        pictures = [picture.b64_json for picture in self.generate(n=3).data]
        self.assertEqual(len(set(pictures)), 3)
        self.assertEqual(pictures[0], self.generate().data[0].b64_json)

    def test_fields_of_our_own(self):
        answer = self.generate(extra_body={"seed": 7, "tier": "preview", "placeholder": False})
        self.assertEqual(answer.data[0].thumbforge["seed"], 7)
        dropped = self.generate(extra_body={"steps": 20, "lossy": True}).data[0].thumbforge["meta"]["dropped"]
        self.assertEqual(dropped, ["steps"])

    def test_a_stand_in_for_a_model_that_is_not_here(self):
        answer = self.generate(model="sd3-large", extra_body={"placeholder": True})
        self.assertEqual(answer.data[0].thumbforge["model"], "builtin")

    def test_a_stream(self):
        whole = self.generate("a shield", n=2)
        events = list(self.generate("a shield", n=2, stream=True))
        self.assertEqual([event.type for event in events], ["image_generation.completed"] * 2)
        self.assertEqual([event.b64_json for event in events], [picture.b64_json for picture in whole.data])
        self.assertEqual((events[0].size, events[0].output_format), ("64x48", "png"))
        self.assertIsInstance(events[0].created_at, int)

    def test_an_error_in_a_stream(self):
        with self.assertRaises(openai.APIError) as raised:
            list(self.generate("a helmet", stream=True, extra_body={"composition": "no such thing"}))
        self.assertTrue(str(raised.exception).startswith("failed to "), raised.exception)
        self.assertIsNotNone(raised.exception.code)

    def test_models(self):
        models = {model.id: model for model in self.client.models.list()}
        self.assertTrue(models["builtin"].available)
        self.assertIsInstance(models["builtin"].created, int)
        self.assertEqual(self.client.models.retrieve("placeholder").id, "builtin")

    def refused(self, kind, code, param, call):
        with self.assertRaises(kind) as raised:
            call()
        error = raised.exception
        self.assertEqual((error.code, error.param), (code, param), error)
        self.assertTrue(error.body["message"].startswith("failed to "), error)
        self.assertRegex(error.request_id or "", "^req_")
        # Two retries were allowed; none was to be made.
        self.assertEqual(error.response.request.headers["x-stainless-retry-count"], "0")

    def test_refusals(self):
        bad = openai.BadRequestError
        self.refused(bad, "invalid_request", "size", lambda: self.generate(size="big"))
        self.refused(bad, "invalid_request", "n", lambda: self.generate(n=11))
        self.refused(bad, "invalid_request", "prompt", lambda: self.generate(prompt=""))
        self.refused(bad, "unknown_model", "model", lambda: self.generate(model="no-such-model"))
        self.refused(bad, "unsupported_field", "background", lambda: self.generate(background="transparent"))
        self.refused(bad, "unsupported_field", "style", lambda: self.generate(style="vivid"))
        self.refused(bad, "unsupported_field", "partial_images", lambda: self.generate(stream=True, partial_images=2))
        self.refused(openai.NotFoundError, "unknown_model", "model", lambda: self.client.models.retrieve("zz"))
        self.refused(
            openai.InternalServerError, "model_unavailable", None, lambda: self.generate(model="sd3-large", size="512x512")
        )

    def test_edits_that_nothing_here_can_make(self):
        def edit(**options):
            return self.client.images.edit(**{"image": ("cat.png", png(64, 48)), "prompt": "a hat", **options})

        bad = openai.BadRequestError
        self.refused(bad, "unsupported_field", "image", edit)
        several = [("a.png", png(64, 48)), ("b.png", png(16, 16))]
        self.refused(bad, "unsupported_field", "image", lambda: edit(image=several))
        self.refused(bad, "invalid_request", "image", lambda: edit(image=("cat.png", b"no picture")))
        self.refused(bad, "invalid_request", "mask", lambda: edit(mask=("mask.png", png(16, 16, 0))))
        self.refused(bad, "invalid_request", "mask", lambda: edit(mask=("mask.png", png(64, 48, 255))))

    def test_a_stopped_line_makes_no_second_job(self):
        for name, after in [("nothing came", 0), ("half came", 400)]:
            wire = rig.Wire(self.sidecar.url, cuts=2, after=after)
            prompt = f"a lantern, {name}"
            answer = client(wire.url).images.generate(prompt=prompt, model="builtin", size="64x48", user=f"w{after}")
            self.assertEqual(size(base64.b64decode(answer.data[0].b64_json)), (64, 48))
            self.assertEqual(wire.requests, 3, name)
            jobs = [job for job in self.sidecar.jobs() if job["client"] == f"http:w{after}"]
            self.assertEqual(len(jobs), 1, name)
            wire.end()

    def test_a_failure_is_told_again_and_not_tried_again(self):
        wire = rig.Wire(self.sidecar.url, cuts=1)
        with self.assertRaises(openai.APIStatusError):
            client(wire.url).images.generate(
                prompt="a lamp", model="builtin", size="64x48", user="failing", extra_body={"composition": "no such thing"}
            )
        self.assertEqual(wire.requests, 2)
        jobs = [job for job in self.sidecar.jobs() if job["client"] == "http:failing"]
        self.assertEqual([job["state"] for job in jobs], ["failed"])
        wire.end()


if __name__ == "__main__":
    unittest.main()
