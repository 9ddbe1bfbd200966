"""Operations on a running stack: redrive."""
