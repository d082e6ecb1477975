"""Somebody at a browser that runs no scripts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http import HTTPStatus

import aiohttp
from yarl import URL

from ccari.ports.access import Role
from tests.unit.web.api import Api

SIGN_IN = "/console/sign-in"


@dataclass
class Form:
    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("method", "get"), given.get("action", "")))
        elif tag in {"input", "textarea", "select"} and self.forms and "name" in given:
            self.forms[-1].fields[given["name"]] = given.get("value", "")
            self._select = given["name"]
        elif tag == "option" and "selected" in given:
            self.forms[-1].fields[self._select] = given.get("value", "")


@dataclass
class Seen:
    status: int
    url: str
    text: str
    headers: Mapping[str, str]

    @property
    def forms(self) -> list[Form]:
        parser = _Forms()
        parser.feed(self.text)
        return parser.forms

    def form(self, action: str) -> Form:
        found = [each for each in self.forms if each.action == action]
        assert found, (action, [each.action for each in self.forms])
        return found[0]

    @property
    def words(self) -> str:
        """What one reads, in one line."""
        text = re.sub(r"<(style|script|title).*?</\1>", " ", self.text, flags=re.DOTALL)
        text = re.sub(r"</?bdi>", "", text)
        return " ".join(re.sub(r"<[^>]+>", " ", text).split())


@dataclass
class Visitor:
    url: str
    session: aiohttp.ClientSession
    language: str = "en"

    async def get(self, path: str, *, follow: bool = True, headers: Mapping[str, str] | None = None) -> Seen:
        return await self.ask("GET", path, follow=follow, headers=headers)

    async def ask(
        self, method: str, path: str, form: Mapping[str, str] | None = None, *, follow: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Seen:  # fmt: skip
        sent = {"accept-language": self.language, **(headers or {})}
        async with self.session.request(
            method, self.url + path, data=form, headers=sent, allow_redirects=follow
        ) as answer:
            return Seen(answer.status, answer.url.path, await answer.text(), answer.headers)

    async def send(self, page: str, action: str, /, **fields: str) -> Seen:
        """Fill in the form of a page that goes to ``action``, and send it."""
        form = (await self.get(page)).form(action)
        return await self.ask(form.method.upper(), action, {**form.fields, **fields})

    async def sign_in(self, token: str) -> Seen:
        return await self.send(SIGN_IN, SIGN_IN, token=token)

    @property
    def cookie(self) -> str:
        """The session's cookie."""
        kept = self.session.cookie_jar.filter_cookies(URL(f"{self.url}/console"))
        return kept["ccari_session"].value if "ccari_session" in kept else ""


def browser() -> aiohttp.ClientSession:
    """A browser that keeps cookies, also those of an IP address."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


async def signed_in(
    api: Api, visitor: Visitor, role: Role, *controllers: str, agent: str | None = None
) -> Visitor:
    """Signed in with a new token of the role, perhaps only for some controllers."""
    token = await api.token(role, controllers=set(controllers) or None, agent=agent)
    seen = await visitor.sign_in(token)
    assert seen.status == HTTPStatus.OK, seen.words
    return visitor
