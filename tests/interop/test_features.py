"""What people expect of a message server, by slixmpp's own plugins: carbons, archive, blocking, avatars, bookmarks,
nicknames, read state, client state."""

import asyncio
import hashlib

import pytest
from slixmpp import JID
from slixmpp.exceptions import IqError
from slixmpp.plugins.xep_0402.stanza import Conference

from clearstream import ClearStream
from exchange import PATIENCE
from slix import Person

# Enough for many pages, and not a round number of them.
ARCHIVED = 10_007
PAGE = 250


def person(exchange, number, *plugins, resource="slix"):
    made = Person(exchange, number, "starttls", resource)
    for plugin in plugins:
        made.register_plugin(plugin)
    return made


async def befriend(a, b):
    """Each sees the other's presence."""
    for one in (a, b):
        one.auto_authorize = one.auto_subscribe = True
    a.send_presence_subscription(f"{b.number}@localhost")
    async with asyncio.timeout(20):
        while any(
            one.client_roster[f"{other.number}@localhost"]["subscription"] != "both" for one, other in ((a, b), (b, a))
        ):
            await a.plugin["xep_0199"].send_ping("localhost")
            await b.plugin["xep_0199"].send_ping("localhost")


def queue(client, event, taken=lambda it: it):
    heard = asyncio.Queue()
    client.add_event_handler(event, lambda it: heard.put_nowait(taken(it)))
    return heard


async def next_of(heard):
    return await asyncio.wait_for(heard.get(), PATIENCE)


async def test_carbons_reach_the_other_device_once(exchange, numbers):
    a = await person(exchange, numbers[0], "xep_0280").log_in()
    desk = person(exchange, numbers[1], "xep_0280", resource="desk")
    phone = person(exchange, numbers[1], "xep_0280", resource="phone")
    body = lambda kind: lambda message: message[kind]["body"]
    received = queue(phone, "carbon_received", body("carbon_received"))
    sent = queue(phone, "carbon_sent", body("carbon_sent"))
    for one in (desk, phone):
        await one.log_in()
        await one.plugin["xep_0280"].enable()
    a.send_message(mto=f"{numbers[1]}@localhost/desk", mbody="for the desk", mtype="chat")
    assert await desk.hear() == (numbers[0], "for the desk")
    assert await next_of(received) == "for the desk"
    desk.send_message(mto=f"{numbers[0]}@localhost", mbody="from the desk", mtype="chat")
    assert await a.hear() == (numbers[1], "from the desk")
    assert await next_of(sent) == "from the desk"
    await phone.plugin["xep_0199"].send_ping("localhost")
    assert received.empty() and sent.empty() and phone.bodies.empty()
    for one in (a, desk, phone):
        await one.log_out()


async def test_a_long_archive_is_paged_without_a_gap(exchange):
    writer, reader = exchange.account(), exchange.account()
    stream = await (await ClearStream.connect(exchange)).log_in(writer, "writer")
    for start in range(0, ARCHIVED, 500):
        batch = range(start, min(start + 500, ARCHIVED))
        await stream.send(
            "".join(f"<message to='{reader}@localhost' type='chat'><body>{n}</body></message>" for n in batch)
        )
        await stream.ping()
    client = await person(exchange, writer, "xep_0313").log_in()
    bodies, ids = [], set()
    async for message in client.plugin["xep_0313"].iterate(rsm={"max": PAGE}):
        result = message["mam_result"]
        bodies.append(int(result["forwarded"]["stanza"]["body"]))
        ids.add(result["id"])
    assert bodies == list(range(ARCHIVED))
    assert len(ids) == ARCHIVED
    # From the end, and only with somebody else.
    last = [
        int(message["mam_result"]["forwarded"]["stanza"]["body"])
        async for message in client.plugin["xep_0313"].iterate(reverse=True, rsm={"max": 50}, total=50)
    ]
    assert last == list(range(ARCHIVED - 1, ARCHIVED - 51, -1))
    nobody = client.plugin["xep_0313"].iterate(with_jid=JID("20000@localhost"), rsm={"max": 50})
    assert [message async for message in nobody] == []
    await client.log_out()


async def test_who_is_blocked_is_not_heard(exchange, numbers):
    a = await person(exchange, numbers[0], "xep_0191").log_in()
    b = await person(exchange, numbers[1]).log_in()
    refused = queue(b, "message_error", lambda message: message["error"]["condition"])
    await a.plugin["xep_0191"].block(JID(f"{numbers[1]}@localhost"))
    assert await a.plugin["xep_0191"].get_blocked_jids() == {JID(f"{numbers[1]}@localhost")}
    await b.write(numbers[0], "can you hear me?")
    assert await next_of(refused) == "service-unavailable"
    await a.plugin["xep_0191"].unblock(JID(f"{numbers[1]}@localhost"))
    await b.write(numbers[0], "and now?")
    assert await a.hear() == (numbers[1], "and now?")
    await a.log_out()
    await b.log_out()


async def test_an_avatar_reaches_contacts_both_ways(exchange, numbers):
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
    digest = hashlib.sha1(picture).hexdigest()
    plugins = ("xep_0084", "xep_0163", "xep_0054", "xep_0153")
    a = person(exchange, numbers[0], *plugins)
    b = person(exchange, numbers[1], *plugins)
    published = queue(b, "avatar_metadata_publish", lambda message: message["pubsub_event"]["items"]["item"]["id"])
    hashes = queue(b, "vcard_avatar_update", lambda presence: presence["vcard_temp_update"]["photo"])
    await a.log_in()
    await b.log_in()
    await befriend(a, b)
    await a.plugin["xep_0084"].publish_avatar(picture)
    await a.plugin["xep_0084"].publish_avatar_metadata(
        {"id": digest, "type": "image/png", "bytes": str(len(picture)), "width": "1", "height": "1"}
    )
    assert await next_of(published) == digest
    got = await b.plugin["xep_0084"].retrieve_avatar(JID(f"{numbers[0]}@localhost"), digest)
    assert got["pubsub"]["items"]["item"]["avatar_data"]["value"] == picture
    # XEP-0398: it is the vCard's too, as presence says.
    while await next_of(hashes) != digest:
        pass
    card = await b.plugin["xep_0054"].get_vcard(JID(f"{numbers[0]}@localhost"), cached=False)
    assert card["vcard_temp"]["PHOTO"]["BINVAL"] == picture
    await a.log_out()
    await b.log_out()


async def test_bookmarks_are_private_and_last(exchange, numbers):
    options = {
        "pubsub#persist_items": "true",
        "pubsub#max_items": "max",
        "pubsub#send_last_published_item": "never",
        "pubsub#access_model": "whitelist",
    }

    def form(client):
        made = client.plugin["xep_0004"].make_form("submit")
        made.add_field("FORM_TYPE", "hidden", value="http://jabber.org/protocol/pubsub#publish-options")
        for name, value in options.items():
            made.add_field(name, value=value)
        return made

    plugins = ("xep_0402", "xep_0060", "xep_0163", "xep_0004")
    a = await person(exchange, numbers[0], *plugins).log_in()
    for room in ("play@rooms.example", "orchard@rooms.example"):
        conference = Conference()
        conference["name"] = room.title()
        conference["autojoin"] = True
        await a.plugin["xep_0060"].publish(
            JID(f"{numbers[0]}@localhost"), Conference.namespace, id=room, payload=conference, options=form(a)
        )
    await a.log_out()
    again = await person(exchange, numbers[0], *plugins, resource="again").log_in()
    items = await again.plugin["xep_0060"].get_items(JID(f"{numbers[0]}@localhost"), Conference.namespace)
    found = {item["id"]: item["conference"]["autojoin"] for item in items["pubsub"]["items"]}
    assert found == {"play@rooms.example": True, "orchard@rooms.example": True}
    b = await person(exchange, numbers[1], *plugins).log_in()
    await befriend(again, b)
    with pytest.raises(IqError):
        await b.plugin["xep_0060"].get_items(JID(f"{numbers[0]}@localhost"), Conference.namespace)
    await again.log_out()
    await b.log_out()


async def test_a_nickname_reaches_contacts(exchange, numbers):
    a = await person(exchange, numbers[0], "xep_0172", "xep_0163").log_in()
    b = person(exchange, numbers[1], "xep_0172", "xep_0163")
    nicks = queue(b, "user_nick_publish", lambda message: message["pubsub_event"]["items"]["item"]["nick"]["nick"])
    await b.log_in()
    await befriend(a, b)
    await a.plugin["xep_0172"].publish_nick("Ann of the hills")
    assert await next_of(nicks) == "Ann of the hills"
    # Whoever comes later is given the last one.
    late = person(exchange, numbers[1], "xep_0172", "xep_0163", resource="late")
    later = queue(late, "user_nick_publish", lambda message: message["pubsub_event"]["items"]["item"]["nick"]["nick"])
    await late.log_in()
    assert await next_of(later) == "Ann of the hills"
    for one in (a, b, late):
        await one.log_out()


async def test_what_was_read_is_known_to_the_other_device_and_to_nobody_else(exchange, numbers):
    def marks(stanza):
        items = [item for item in stanza.xml.iter() if item.tag.endswith("}item")]
        return {item.get("id"): item.find(".//{urn:xmpp:sid:0}stanza-id").get("id") for item in items}

    plugins = ("xep_0490", "xep_0163", "xep_0223", "xep_0060")
    phone = await person(exchange, numbers[0], *plugins, resource="phone").log_in()
    desk = person(exchange, numbers[0], *plugins, resource="desk")
    read = queue(desk, "message_displayed_synchronization_publish", marks)
    await desk.log_in()
    b = await person(exchange, numbers[1], *plugins).log_in()
    await befriend(phone, b)
    for chat, mark in ((numbers[1], "first"), ("10999", "other"), (numbers[1], "second")):
        await phone.plugin["xep_0490"].flag_chat(JID(f"{chat}@localhost"), mark)
        assert await next_of(read) == {f"{chat}@localhost": mark}
    kept = await desk.plugin["xep_0490"].catch_up()
    assert marks(kept) == {f"{numbers[1]}@localhost": "second", "10999@localhost": "other"}
    with pytest.raises(IqError):
        await b.plugin["xep_0060"].get_items(JID(f"{numbers[0]}@localhost"), "urn:xmpp:mds:displayed:0")
    for one in (phone, desk, b):
        await one.log_out()


async def test_presence_waits_while_nobody_looks(exchange, numbers):
    a = await person(exchange, numbers[0], "xep_0352").log_in()
    b = await person(exchange, numbers[1]).log_in()
    await befriend(a, b)
    shown = queue(a, "changed_status", lambda presence: (presence["from"].bare, presence["show"]))
    assert a.plugin["xep_0352"].enabled
    a.plugin["xep_0352"].send_inactive()
    # Taken in before b's presence can have changed. What waited before it was inactive has come with the answer.
    await a.plugin["xep_0199"].send_ping("localhost")
    while not shown.empty():
        shown.get_nowait()
    for show in ("away", "dnd", "xa"):
        b.send_presence(pshow=show)
    await b.plugin["xep_0199"].send_ping("localhost")
    await b.write(numbers[0], "look!")
    assert await a.hear() == (numbers[1], "look!")
    # Only the last of the three has come, and before the message.
    assert [shown.get_nowait() for _ in range(shown.qsize())] == [(f"{numbers[1]}@localhost", "xa")]
    b.send_presence(pshow="chat")
    await b.plugin["xep_0199"].send_ping("localhost")
    a.plugin["xep_0352"].send_active()
    assert await next_of(shown) == (f"{numbers[1]}@localhost", "chat")
    await a.log_out()
    await b.log_out()
