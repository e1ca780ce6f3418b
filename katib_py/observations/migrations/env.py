"""What Alembic runs: the migrations, in the transaction that it was given."""

from alembic import context

from katib_py.observations.database import metadata
from katib_py.observations.mariadb import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
