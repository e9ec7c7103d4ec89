"""Other people's routers as clients of ours: LiteLLM as a library, and Portkey's gateway as a process in between."""

import base64
import os
import unittest

# Neither its price list nor anything else comes from elsewhere.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402

import bench  # noqa: E402
import rig  # noqa: E402
from test_openai import png, size  # noqa: E402

litellm.telemetry = False


class Routers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sidecar = rig.Sidecar()

    @classmethod
    def tearDownClass(cls):
        cls.sidecar.end()

    def litellm(self, prompt="a red sword", **options):
        asked = {"prompt": prompt, "model": "openai/builtin", "size": "64x48", **options}
        return litellm.image_generation(api_base=f"{self.sidecar.url}/v1", api_key="sk-unused", **asked)

    def jobs(self, client):
        return [job for job in self.sidecar.jobs() if job["client"] == f"http:{client}"]

    def test_litellm_gets_a_picture(self):
        answer = self.litellm()
        self.assertEqual(size(base64.b64decode(answer.data[0].b64_json)), (64, 48))
        self.assertIsInstance(answer.created, int)
        self.assertEqual((answer.size, answer.output_format), ("64x48", "png"))
        self.assertEqual(len(self.litellm("a bow", n=2).data), 2)

    def test_litellm_raises_its_own_exceptions(self):
        with self.assertRaises(litellm.BadRequestError):
            self.litellm(size="big")
        with self.assertRaises(litellm.BadRequestError):
            self.litellm(model="openai/no-such-model")
        with self.assertRaises((litellm.ServiceUnavailableError, litellm.InternalServerError)):
            self.litellm(model="openai/sd3-large", size="512x512")

    def test_litellm_asks_again_and_there_is_one_job(self):
        wire = rig.Wire(self.sidecar.url, cuts=1)
        answer = litellm.image_generation(
            prompt="a lantern", model="openai/builtin", size="64x48", user="wire", max_retries=2,
            api_base=f"{wire.url}/v1", api_key="sk-unused",
        )
        self.assertEqual(size(base64.b64decode(answer.data[0].b64_json)), (64, 48))
        self.assertEqual((wire.requests, len(self.jobs("wire"))), (2, 1))
        wire.end()

    def test_litellm_edits(self):
        with self.assertRaises(litellm.BadRequestError) as raised:
            litellm.image_edit(
                image=[png(64, 48)], prompt="a hat", model="openai/builtin",
                api_base=f"{self.sidecar.url}/v1", api_key="sk-unused",
            )
        self.assertIn("unsupported_field", str(raised.exception) + str(getattr(raised.exception, "body", "")))

    def test_portkey_passes_on_what_is_asked_and_answered(self):
        gateway = bench.Portkey(self.sidecar, 0)
        try:
            url = f"{gateway.url}/v1/images/generations"
            headers = {**gateway.headers, "Authorization": "Bearer sk-unused"}
            body = {"prompt": "a red sword", "model": "builtin", "size": "64x48"}
            status, _, answer = rig.post(url, body, headers)
            self.assertEqual(status, 200, answer)
            self.assertEqual(size(base64.b64decode(answer["data"][0]["b64_json"])), (64, 48))
            status, _, answer = rig.post(url, {**body, "size": "big"}, headers)
            self.assertEqual((status, answer["error"]["code"], answer["error"]["param"]), (400, "invalid_request", "size"))
        finally:
            gateway.end()


if __name__ == "__main__":
    unittest.main()
