"""OpenAI's client against a sidecar that buys: what the provider refuses comes out as the client's own exceptions, and
whatever is asked again is paid for once."""

import base64
import unittest

import openai

import rig
from test_openai import client, png, size

MODEL = "gpt-image-2"
SIZE = "1024x1024"


class Hosted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.provider = rig.Provider("--key", rig.SECRET)
        cls.sidecar = rig.Sidecar(rig.account(cls.provider, images_in_flight=8))
        cls.client = client(cls.sidecar.url)

    @classmethod
    def tearDownClass(cls):
        said = cls.sidecar.said
        cls.sidecar.end()
        cls.provider.end()
        assert not any(rig.SECRET in line for line in said), "the key stands in the log"

    def setUp(self):
        self.provider.obey()

    def generate(self, prompt, client=None, **options):
        asked = {"prompt": prompt, "model": MODEL, "size": SIZE, **options}
        return (client or self.client).images.generate(**asked)

    def paid(self, prompt):
        """Pictures of this prompt that the provider billed."""
        return sum(charge["pictures"] for charge in self.provider.book()["charges"] if prompt in charge["prompt"])

    def jobs(self, user):
        return [job["state"] for job in self.sidecar.jobs() if job["client"] == f"http:{user}"]

    def test_a_picture_is_bought_once(self):
        answer = self.generate("a bought fox", quality="low")
        self.assertEqual(size(base64.b64decode(answer.data[0].b64_json)), (1024, 1024))
        told = answer.data[0].thumbforge
        self.assertEqual((told["model"], told["meta"]["engine"], answer.quality), (MODEL, "openai", "low"))
        self.assertGreater(told["meta"]["cost_usd"], 0)
        again = self.generate("a bought fox", quality="low").data[0]
        self.assertEqual(again.b64_json, answer.data[0].b64_json)
        self.assertEqual((again.thumbforge["meta"]["cost_usd"], self.paid("a bought fox")), (0, 1))

    def test_several_are_bought_though_the_model_has_no_seeds(self):
        answer = self.generate("three foxes", n=3)
        self.assertEqual(len({picture.thumbforge["key"] for picture in answer.data}), 3)
        self.assertEqual(self.paid("three foxes"), 3)
        with self.assertRaises(openai.BadRequestError) as raised:
            self.generate("one fox of a seed", extra_body={"seed": 7})
        self.assertEqual(raised.exception.code, "unsupported_field")

    def test_a_stream(self):
        events = list(self.generate("a streamed fox", stream=True))
        self.assertEqual([event.type for event in events], ["image_generation.completed"])
        self.assertEqual(self.paid("a streamed fox"), 1)

    def test_an_edit_with_a_mask(self):
        answer = self.client.images.edit(
            image=[("cat.png", png(1024, 1024)), ("hat.png", png(64, 64))],
            mask=("mask.png", png(1024, 1024, 0)),
            prompt="a cat with a hat",
            model=MODEL,
        )
        self.assertEqual(size(base64.b64decode(answer.data[0].b64_json)), (1024, 1024))
        self.assertEqual(self.paid("a cat with a hat"), 1)
        events = list(
            self.client.images.edit(image=png(1024, 1024), prompt="a dog with a hat", model=MODEL, stream=True)
        )
        self.assertEqual([event.type for event in events], ["image_edit.completed"])

    def test_a_retired_model_is_replaced_and_said_so(self):
        answer = self.generate("a fox of yesterday", model="dall-e-3", quality="hd")
        told = answer.data[0].thumbforge
        self.assertNotEqual(told["model"], told["meta"]["replaces"])
        self.assertTrue(told["meta"]["replaces"].startswith("dall-e-3"), told)
        self.assertIn("was retired", " ".join(told["meta"]["warnings"]))

    def refuses(self, prompt, kind, code, rule):
        self.provider.rule(prompt=prompt, **rule)
        with self.assertRaises(kind) as raised:
            self.generate(prompt)
        error = raised.exception
        self.assertEqual(error.code, code, error)
        self.assertTrue(error.body["message"].startswith("failed to "), error)
        self.assertNotIn(rig.SECRET, str(error.body))
        self.assertEqual(error.response.headers["x-should-retry"], "false")
        self.assertEqual(self.paid(prompt), 0)
        # A person who asks again is heard again.
        self.provider.obey()

    def test_what_the_provider_refuses(self):
        def says(status, kind, code):
            return {"status": status, "body": {"error": {"message": "no", "type": kind, "param": None, "code": code}}}

        self.refuses(
            "a forbidden fox", openai.BadRequestError, "content_policy_violation",
            says(400, "image_generation_user_error", "moderation_blocked"),
        )
        self.refuses(
            "a fox without credit", openai.APIStatusError, "out_of_funds",
            says(429, "insufficient_quota", "credit_balance_exhausted"),
        )

    def test_a_lost_answer_is_not_paid_twice(self):
        # The provider makes the picture, and its line breaks: nobody here knows what became of it.
        self.provider.rule(prompt="a lost fox", delivery="reset")
        with self.assertRaises(openai.ConflictError) as raised:
            self.generate("a lost fox", user="lost")
        self.assertEqual((raised.exception.code, raised.exception.response.headers["x-should-retry"]), ("ambiguous", "false"))
        self.provider.obey()
        # Whoever asks again is told the same, for the job is held until somebody decides.
        with self.assertRaises(openai.ConflictError):
            self.generate("a lost fox", user="lost")
        self.assertEqual((self.paid("a lost fox"), self.jobs("lost")), (1, ["ambiguous"]))
        # Somebody decides to pay again, and the picture is there for the next who asks.
        job = next(job["id"] for job in self.sidecar.jobs() if job["client"] == "http:lost")
        status, _, _ = rig.post(f"{self.sidecar.url}/jobs/{job}/resend", {})
        answer = self.generate("a lost fox", user="lost")
        self.assertEqual((status, len(answer.data), self.paid("a lost fox")), (200, 1, 2))

    def test_a_stopped_line_of_ours_is_not_paid_twice(self):
        for after in (0, 1000):
            wire = rig.Wire(self.sidecar.url, cuts=2, after=after)
            prompt, user = f"a fox on a wire, {after}", f"wire{after}"
            answer = self.generate(prompt, client(wire.url), user=user)
            self.assertEqual(size(base64.b64decode(answer.data[0].b64_json)), (1024, 1024))
            self.assertEqual((wire.requests, self.paid(prompt), self.jobs(user)), (3, 1, ["done"]))
            wire.end()


class Slow(unittest.TestCase):
    """A provider that takes longer than the client's patience."""

    def test_a_client_that_loses_patience_joins_its_own_job(self):
        provider = rig.Provider("--latency-ms", "1500")
        sidecar = rig.Sidecar(rig.account(provider))
        try:
            patient = client(sidecar.url, timeout=0.6, max_retries=6)
            answer = patient.images.generate(prompt="a slow fox", model=MODEL, size=SIZE)
            self.assertEqual(size(base64.b64decode(answer.data[0].b64_json)), (1024, 1024))
            self.assertEqual((provider.book()["pictures"], len(sidecar.jobs())), (1, 1))
        finally:
            sidecar.end()
            provider.end()


class Poor(unittest.TestCase):
    """Accounts that cannot pay."""

    def refused(self, settings, kind, code, **options):
        provider = rig.Provider("--key", "sk-another")
        sidecar = rig.Sidecar(rig.account(provider, **options) + settings)
        try:
            with self.assertRaises(kind) as raised:
                client(sidecar.url).images.generate(prompt="a fox", model=MODEL, size=SIZE)
            error = raised.exception
            self.assertEqual((error.code, error.response.headers["x-should-retry"]), (code, "false"), error)
            self.assertEqual(provider.book()["pictures"], 0)
            self.assertNotIn(rig.SECRET, str(error.body) + "\n".join(sidecar.said))
        finally:
            sidecar.end()
            provider.end()

    def test_a_key_that_is_not_taken(self):
        self.refused("", openai.InternalServerError, "provider_auth")

    def test_a_budget_that_is_spent(self):
        self.refused("[budget]\ntotal_usd = \"0.0001\"\n", openai.APIStatusError, "over_budget")


if __name__ == "__main__":
    unittest.main()
