"""One approved item of one prompt, as several stories begin."""

from __future__ import annotations

from uuid import UUID

from optimizer.records.deployment import Deployment
from tests.builders import Office, approve, make_item


async def approved(office: Office) -> UUID:
    item = make_item(1)
    decided = await office.decide(await office.pending([item]), approve(item))
    assert decided.batch_id is not None
    return decided.batch_id


async def only(office: Office, batch_id: UUID) -> Deployment:
    (deployment,) = await office.deployments.batch(batch_id)
    return deployment
