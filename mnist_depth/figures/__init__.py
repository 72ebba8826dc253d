"""Figures of trainings: `data` makes plain numbers, `style` chooses colors and names, `interactive` draws (plotly)."""
