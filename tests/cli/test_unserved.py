"""What journeys name and nothing sends is told before anything is queued on it for ever."""

from __future__ import annotations

from pathlib import Path

from orchestrator.cli.apply import apply_files
from orchestrator.cli.unserved import known_to_all, told, unserved
from orchestrator.project.load import load
from orchestrator.runtime.settings import Settings
from tests.cli.shell import outreach
from tests.runtime.installation import FILES

URL = "smpp://me@127.0.0.1:1"
BY_MMS = {
    **FILES,
    "journeys/welcome.yaml": FILES["journeys/welcome.yaml"].replace("[sms]", "[mms, chat, sms]"),
    "templates/hello.en.j2": "{% block sms %}Hi{% endblock %}{% block chat %}Hi{% endblock %}"
    "{% block mms_subject %}Hi{% endblock %}{% block mms_text %}Hi{% endblock %}",
}
"""A project whose messages go by MMS, where there is one."""


def test_a_channel_that_journeys_name_and_nothing_sends_is_found() -> None:
    project = load(BY_MMS)
    assert unserved(project, ["sms", "webchat"]) == {"mms": ["welcome"]}
    assert unserved(project, ["sms", "telegram", "mms"]) == {}
    assert unserved(project, ["mms"]) == {"chat": ["welcome"], "sms": ["welcome"]}
    assert list(told(unserved(project, ["sms", "webchat"]))) == [
        "mms: journeys name it (welcome), and nothing sends it"
    ]


def test_where_no_carrier_of_sms_is_configured_the_simulated_one_is_there() -> None:
    assert known_to_all(["webchat"]) == {"webchat", "sms", "mms", "wap_push"}
    assert known_to_all(["sms"]) == {"sms"}


def test_without_via_every_channel_that_there_are_words_for_counts() -> None:
    free = BY_MMS["journeys/welcome.yaml"].replace("    via: [mms, chat, sms]\n", "")
    project = load({**BY_MMS, "journeys/welcome.yaml": free})
    assert unserved(project, ["sms", "webchat"]) == {"mms": ["welcome"]}


async def test_the_doctor_says_who_could_be_kept_waiting(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    env = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "OUTREACH_SECRET": "the secret of this test only",
        "OUTREACH_PROJECT": str(tmp_path),
        "OUTREACH_SMPP_URL": URL,
    }
    for path, text in BY_MMS.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    await apply_files(Settings.from_env(env, tmp_path), database_url, BY_MMS)
    listed = outreach("channels", env=env)
    assert listed.returncode == 0, listed.stderr
    assert "mms: journeys name it (welcome), and nothing sends it" in listed.stdout
    people = tmp_path / "people.csv"
    people.write_text("key,phone,mms\nann,+8613800138000,+8613800138000\n")
    assert outreach("import", str(people), env=env).returncode == 0
    ill = outreach("doctor", env=env)
    assert ill.returncode == 1
    assert "wrong  journeys' channels are there" in ill.stdout
    assert (
        "mms: journeys name it (welcome), 1 people have an address on it, and nothing sends it"
        in ill.stdout
    )
    assert "do: configure it in channels.yaml" in ill.stdout
    (tmp_path / "channels.yaml").write_text("mms:\n  url: http://127.0.0.1:1/mm7\n  nonsense: 1\n")
    unsure = outreach("doctor", env=env)
    assert "the channels were not looked at" in unsure.stderr
