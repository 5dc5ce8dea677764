"""The small campaign of this tour: a few texts, as an author would keep them in git."""

from __future__ import annotations

from datetime import UTC, datetime

from orchestrator.core.events import SubscriberEvent
from orchestrator.core.model import Consent, Subscriber

WELCOME = """
journey: welcome
summary: Three days that turn a new subscriber into one who knows the way
class: promotion
enter:
  - on: subscriber.activated
leave:
  - on: subscriber.deactivated
steps:
  - id: hello
    at: day 1 10:00
    send: hello
    via: [sms]

  - id: quiz
    at: day 2 10:00
    ask: quiz
    within: 24h
    reply:
      - is: ['1', 'yes']
        do: [{award: 20, for: quiz}]
    silence:
      - set: {tags: [+needs-help]}
"""

CONTACT = """
classes:
  promotion:
    purpose: marketing        # what the subscriber's yes or no is about
    consent: opt_in           # only after a recorded yes
    hours: 09:00-20:00        # by the subscriber's own clock
    per_day: 1                # over all journeys
    same_message: 30d         # the same one not again within 30 days
  answer: {purpose: answer, consent: answer}  # to what somebody just wrote: always
"""

PROJECT = "{name: tour, locale: en, timezone: Asia/Shanghai}"

HELLO = """
{% block sms %}Welcome, {{ subscriber.name }}! Reply STOP to end.{% endblock %}
{% block chat %}Welcome, {{ subscriber.name }}!{% endblock %}
{% block chat_buttons %}My points=points | Help=help{% endblock %}
"""

QUIZ = "{% block sms %}Is the mobile internet faster than a letter? 1 yes, 2 no{% endblock %}"

POINTS = "{% block sms %}You have {{ points.balance }} points.{% endblock %}"

STOPPED = "{% block sms %}You will not hear from us again.{% endblock %}"

FILES = {
    "journeys/welcome.yaml": WELCOME,
    "journeys/program/contact.yaml": CONTACT,
    "journeys/program/project.yaml": PROJECT,
    "templates/hello.en.j2": HELLO,
    "templates/quiz.en.j2": QUIZ,
    "templates/bot/balance.en.j2": POINTS,
    "templates/bot/stopped.en.j2": STOPPED,
}

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
"""Midnight in London, 08:00 in Shanghai, where Ann lives."""

ANN = Subscriber(
    id=1,
    key="ann",
    shard=0,
    locale="en",
    timezone="Asia/Shanghai",
    attributes={"name": "Ann", "network": "4g"},
    tags=frozenset({"student"}),
    addresses={"sms": "+8613800138000", "telegram": "42"},
    consents={"marketing": Consent(granted=True, at=MONDAY, how="web form")},
    created_at=MONDAY,
)

ACTIVATED = SubscriberEvent("subscriber.activated", MONDAY, {}, source_id="switch:1")
"""What the network says when somebody's SIM card is first used."""
