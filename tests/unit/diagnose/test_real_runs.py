"""The counts of real runs: what is found there, and on what the rules stay silent.

Every number is a count of sessions, calls and errors of a published trajectory.
"""

from __future__ import annotations

from optimizer.diagnose.rules import diagnose
from optimizer.records.findings import Finding, Goal
from tests.unit.diagnose.builders import Traffic, snapshot

# tool -> sessions that call it, calls
GPT_4O_AIRLINE = Traffic(
    120,
    {
        "get_reservation_details": (100, 245),
        "search_direct_flight": (36, 86),
        "get_user_details": (73, 73),
        "update_reservation_flights": (31, 64),
        "calculate": (29, 58),
        "think": (36, 54),
        "cancel_reservation": (30, 49),
        "transfer_to_human_agents": (32, 32),
        "book_reservation": (12, 30),
        "search_onestop_flight": (16, 21),
        "update_reservation_baggages": (9, 9),
        "send_certificate": (5, 5),
        "list_all_airports": (2, 2),
        "update_reservation_passengers": (1, 1),
    },
)
GPT_4O_AIRLINE.fails(
    "update_reservation_flights",
    10,
    26,
    {
        "Error: flight HATN not available on date N-N-N": 14,
        "Error: gift card balance is not enough": 7,
        "Error: certificate cannot be used to update reservation": 2,
    },
).fails(
    "book_reservation",
    9,
    17,
    {
        "Error: payment amount does not add up, total price is N, but paid N": 14,
        "Error: payment method certificate_N not found": 3,
    },
)
GPT_4O_AIRLINE.loops("book_reservation", 2, 4, 3, failing=2)
GPT_4O_AIRLINE.loops("update_reservation_flights", 1, 2, 3, failing=1)
GPT_4O_AIRLINE.add("redundant_calls", 5, 7, tool="update_reservation_flights")
GPT_4O_AIRLINE.add("redundant_calls", 3, 6, tool="book_reservation")

SMALL_MODEL_AIRLINE = (
    Traffic(
        30,
        {
            "get_reservation_details": (19, 42),
            "search_direct_flight": (11, 30),
            "get_user_details": (19, 24),
            "book_reservation": (8, 24),
            "search_onestop_flight": (6, 20),
            "cancel_reservation": (7, 20),
            "update_reservation_passengers": (3, 13),
            "get_flight_status": (8, 12),
            "update_reservation_baggages": (4, 9),
            "update_reservation_flights": (8, 8),
            "calculate": (2, 2),
            "transfer_to_human_agents": (2, 2),
            "send_certificate": (2, 2),
        },
    )
    .fails("get_reservation_details", 6, 12, {"Error: Reservation ethan_martin_N not found": 5})
    .fails("get_user_details", 4, 4, {"Error: User N not found": 2})
    .fails(
        "book_reservation",
        8,
        21,
        {"Error: Payment amount does not add up, total price is N, but paid N": 7},
    )
    .fails("update_reservation_passengers", 3, 12, {"Error: Number of passengers does not match": 12})
    .fails("get_flight_status", 1, 1, {"Error: Flight SDZQKO not found": 1})
    .fails("update_reservation_baggages", 2, 5, {"Error: Payment method not found": 5})
    .fails("update_reservation_flights", 1, 1, {"Error: Flight HATN not found on date N-N-N": 1})
    .loops("book_reservation", 2, 6, 5, failing=2)
    .loops("get_reservation_details", 2, 10, 7, failing=2)
    .loops("search_onestop_flight", 2, 5, 4)
    .add("redundant_calls", 3, 7, tool="book_reservation")
    .add("redundant_calls", 6, 12, tool="search_direct_flight")
)

RETAIL = (
    Traffic(
        60,
        {
            "get_order_details": (59, 159),
            "get_product_details": (40, 69),
            "get_user_details": (59, 59),
            "find_user_id_by_name_zip": (49, 49),
            "think": (23, 32),
            "exchange_delivered_order_items": (21, 25),
            "return_delivered_order_items": (16, 23),
            "find_user_id_by_email": (17, 20),
            "modify_pending_order_items": (15, 18),
            "cancel_pending_order": (14, 18),
            "calculate": (13, 16),
            "modify_pending_order_address": (5, 6),
            "modify_user_address": (5, 6),
            "list_all_product_types": (5, 5),
            "transfer_to_human_agents": (4, 4),
        },
    )
    .fails("find_user_id_by_name_zip", 1, 1, {"Error: user not found": 1})
    .fails("exchange_delivered_order_items", 5, 6, {"Error: non-delivered order cannot be exchanged": 5})
    .fails("return_delivered_order_items", 1, 1, {"Error: non-delivered order cannot be returned": 1})
    .fails("find_user_id_by_email", 8, 8, {"Error: user not found": 8}, given_up=8)
    .fails("modify_pending_order_items", 5, 6, {"Error: new item N not found or available": 3})
    .fails("cancel_pending_order", 1, 1, {"Error: non-pending order cannot be cancelled": 1})
    .fails("modify_pending_order_address", 1, 1, {"Error: non-pending order cannot be modified": 1})
)


def findings_of(traffic: Traffic) -> dict[str, Finding]:
    return {finding.key: finding for finding in diagnose(snapshot(traffic)).findings}


def test_the_two_tools_that_fail_in_the_airline_run() -> None:
    findings = findings_of(GPT_4O_AIRLINE)
    assert set(findings) == {"tool_failing:book_reservation", "tool_failing:update_reservation_flights"}
    booking = findings["tool_failing:book_reservation"]
    assert booking.title == "book_reservation fails in 9 of 12 sessions: payment amount does not add up (14x)"
    assert booking.goal is Goal.accuracy
    assert booking.severity == 0.75
    assert booking.advice is not None
    assert "`book_reservation`" in booking.advice
    assert "`payment amount does not add up, total price is N, but paid N`" in booking.advice
    assert "amounts and totals" in booking.advice
    flights = findings["tool_failing:update_reservation_flights"]
    assert flights.title.startswith("update_reservation_flights fails in 10 of 31 sessions")
    assert flights.advice is not None


def test_three_loops_of_three_in_120_sessions_are_not_one_too_many() -> None:
    assert not any(key.startswith("loop") for key in findings_of(GPT_4O_AIRLINE))


def test_a_small_model_that_never_gets_a_booking_through() -> None:
    findings = findings_of(SMALL_MODEL_AIRLINE)
    assert set(findings) == {"tool_failing:book_reservation", "redundant_calls:search_direct_flight"}
    assert findings["tool_failing:book_reservation"].title == (
        "book_reservation fails in 8 of 8 sessions: Payment amount does not add up (7x)"
    )


def test_what_a_handful_of_sessions_shows_is_watched() -> None:
    watching = [line.text for line in diagnose(snapshot(SMALL_MODEL_AIRLINE)).watching]
    assert "update_reservation_passengers failed 3 of 3" in watching
    assert "get_reservation_details failed 6 of 19" in watching
    assert not any("get_flight_status" in line for line in watching)  # 1 of 8


def test_the_lookup_by_email_and_nothing_else_in_the_retail_run() -> None:
    findings = findings_of(RETAIL)
    assert set(findings) == {"tool_failing:find_user_id_by_email"}
    found = findings["tool_failing:find_user_id_by_email"]
    assert found.rule == "tool_failing"  # not to ask again for a user who does not exist is right
    assert found.title == "find_user_id_by_email fails in 8 of 17 sessions: user not found (8x)"
    assert "exchange_delivered_order_items failed 5 of 21" in [
        line.text for line in diagnose(snapshot(RETAIL)).watching
    ]


def test_the_transfer_that_is_repeated_a_hundred_times() -> None:
    traffic = Traffic(
        30,
        {
            "transfer_to_human_agents": (17, 435),
            "get_reservation_details": (26, 41),
            "search_direct_flight": (13, 32),
            "update_reservation_baggages": (4, 20),
            "get_user_details": (19, 19),
            "update_reservation_flights": (6, 10),
        },
    )
    traffic.loops("transfer_to_human_agents", 11, 410, 100).loops("update_reservation_baggages", 1, 14, 15)
    traffic.add("redundant_calls", 15, 414, tool="transfer_to_human_agents")
    findings = findings_of(traffic)
    # The loop has said it all: the same tool's redundant calls are no second item.
    assert set(findings) == {"loop:transfer_to_human_agents"}
    found = findings["loop:transfer_to_human_agents"]
    assert found.title == ("transfer_to_human_agents called with the same arguments up to 100 times (11 sessions)")
    assert found.goal is Goal.cost


def test_the_details_that_are_asked_for_96_times() -> None:
    tools = {"get_details_by_id": (23, 406), "get_data_usage": (9, 72), "get_customer_by_phone": (23, 23)}
    traffic = Traffic(23, tools)
    traffic.loops("get_details_by_id", 5, 337, 96).loops("get_data_usage", 1, 63, 64)
    traffic.add("redundant_calls", 11, 343, tool="get_details_by_id")
    findings = findings_of(traffic)
    assert set(findings) == {"loop:get_details_by_id"}
    assert findings["loop:get_details_by_id"].title == (
        "get_details_by_id called with the same arguments up to 96 times (5 sessions)"
    )
    assert findings["loop:get_details_by_id"].advice is not None


def test_what_is_checked_a_third_time_in_many_sessions_is_found_too() -> None:
    traffic = Traffic(23, {"can_send_mms": (20, 58), "run_speed_test": (15, 40)})
    traffic.loops("can_send_mms", 9, 23, 5)
    assert "loop:can_send_mms" in findings_of(traffic)


def test_one_failing_session_is_never_a_finding() -> None:
    for sessions in (1, 2, 3, 5, 30):
        traffic = Traffic(sessions, {"book_reservation": (sessions, sessions)})
        traffic.fails("book_reservation", 1, 1, {"Error: not found": 1})
        assert findings_of(traffic) == {}


def test_two_of_three_are_watched_and_no_finding() -> None:
    traffic = Traffic(3, {"book_reservation": (3, 5)}).fails("book_reservation", 2, 3)
    diagnosis = diagnose(snapshot(traffic))
    assert diagnosis.findings == ()
    assert [line.text for line in diagnosis.watching] == ["book_reservation failed 2 of 3"]
