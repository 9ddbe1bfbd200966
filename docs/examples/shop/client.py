"""A warehouse and a customer's phone: they send requests to the shop and print what became of them."""

from __future__ import annotations

import json
import time
from typing import Any

import boto3

from tidemill import Producer, reply_queue


def main() -> None:
    """Send, print the replies, and print the customer's document."""
    stack = boto3.client("cloudformation").describe_stacks(StackName="tidemill")["Stacks"][0]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    with (
        reply_queue(outputs["RepliesTopicArn"], hears="phone-1") as queue,
        Producer(outputs["StreamName"], client="phone-1", replies=queue) as phone,
    ):

        def ask(cmd: str, key: str, **data: object) -> None:
            reply = phone.request(cmd, key=key, data=data, timeout=30)
            print(f"{cmd:<14}{reply.status}: {reply.error or json.dumps(reply.data)}")

        with Producer(outputs["StreamName"], client="warehouse") as warehouse:
            warehouse.send("item.restock", key="item/42", data={"count": 5})
        ask("item.reserve", "item/42", order="order-1", count=2)
        ask("item.reserve", "item/42", order="order-2", count=4)
        ask("item.reserve", "item/42", order="order-3", count=1)
        ask("item.cancel", "item/42", order="order-3")
        ask("user.reserved", "user/phone-1", order="order-9", item="item/42", count=100)  # a forgery
    orders = wait_for_orders(outputs["TableName"], "user/phone-1", 1)
    print(f"user/phone-1: {json.dumps(orders, default=int)}")


def wait_for_orders(table: str, key: str, count: int) -> Any:
    """The orders in a customer's document once there are so many: what rules emit is applied a batch later."""
    documents = boto3.resource("dynamodb").Table(table)
    for _ in range(60):
        item: dict[str, Any] = documents.get_item(Key={"pk": key}).get("Item", {})
        orders = item.get("doc", {}).get("orders", {})
        if len(orders) == count:
            return orders
        time.sleep(0.5)
    raise TimeoutError(f"{key} does not have {count} orders: {orders}")


if __name__ == "__main__":
    main()
