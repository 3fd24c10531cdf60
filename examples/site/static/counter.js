// Counts how often the visitor rang the harbour bell, and swings the bell once for each.
const button = document.querySelector("#ring");
const count = document.querySelector("#count");
const bell = document.querySelector("#bell");
let rings = 0;

button.addEventListener("click", () => {
  rings += 1;
  count.textContent = rings === 1 ? "The bell has rung once." : `The bell has rung ${rings} times.`;
  bell.getAnimations().forEach((animation) => animation.cancel());
  bell.animate(
    [0, 18, -14, 9, -5, 0].map((angle) => ({ transform: `rotate(${angle}deg)` })),
    { duration: 700, easing: "ease-out" },
  );
});
