import psycopg
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.postgres.job_store import text_array

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def test_postgresql_reads_back_every_text_of_the_array(db: str) -> None:
    with psycopg.connect(db, autocommit=True) as conn:

        @settings(max_examples=200, deadline=None, derandomize=True)
        @given(st.lists(TEXT | st.sampled_from(["", "NULL", "null", '"', "\\", '\\"', "{}", ",", " a ", "\n"])))
        def reads_back(values: list[str]) -> None:
            assert conn.execute("SELECT %s::text[]", [text_array(values)]).fetchone() == (values,)

        reads_back()
