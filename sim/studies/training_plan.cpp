#include "sim/studies/training_plan.hpp"

#include "sim/core/number_hint.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fmt/format.h>
#include <utility>

namespace podsim {
namespace {

// "4.20 $", "$4.20" and "4.20 usd" as they must be written: "4.20 USD".
std::string price_hint(const std::string& text)
{
  std::string number;
  std::string currency;
  for (const char c : text)
    if (std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '.')
      number += c;
    else if (c != ' ')
      currency += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (const auto& [sign, name] : {std::pair("$", "USD"), {"US$", "USD"}, {"\u20ac", "EUR"}, {"\u00a3", "GBP"}})
    if (currency == sign)
      currency = name;
  const bool letters = currency.size() == 3 && std::all_of(currency.begin(), currency.end(),
                                                           [](unsigned char c) { return std::isupper(c) != 0; });
  return letters && as_number(number) ? fmt::format("; did you mean \"{} {}\"?", number, currency) : "";
}

// "3.22 USD"
void read_price(const Reader& price, TrainingPlan& plan)
{
  const std::string text  = price.text();
  const char* const begin = text.data();
  const char* const end   = begin + text.size();
  double number           = 0;
  const auto [rest, ec]   = std::from_chars(begin, end, number);
  const auto space        = std::find_if(rest, end, [](char c) { return c != ' '; });
  const std::string currency(space, end);
  const bool letters = currency.size() == 3 && std::all_of(currency.begin(), currency.end(),
                                                           [](unsigned char c) { return std::isupper(c) != 0; });
  if (ec != std::errc() || !(number >= 0) || number > 1e6 || !letters)
    price.expected("a price with its currency, like \"3.22 USD\"", price_hint(text));
  plan.price    = number;
  plan.currency = currency;
}

std::optional<double> find(const Figures& figures, const std::string& name)
{
  const auto found = figures.find(name);
  return found == figures.end() ? std::nullopt : std::optional(found->second);
}

} // namespace

TrainingPlan read_plan(Reader plan)
{
  TrainingPlan read;
  if (const auto tokens = plan.find("tokens")) {
    read.tokens = tokens->number();
    if (!(read.tokens >= 1))
      tokens->expected("a number of tokens, like 780e9");
  }
  if (const auto price = plan.find("price_per_chip_hour"))
    read_price(*price, read);
  if (const auto power = plan.find("power"))
    read.power = power->quantity<WattUnit>();
  if (const auto pue = plan.find("pue")) {
    read.pue = pue->number();
    if (!(read.pue >= 1 && read.pue <= 10))
      pue->expected("a number from 1 to 10");
  }
  if (const auto grid = plan.find("grid_intensity"))
    read.grid_intensity = grid->quantity<GridUnit>();
  plan.finish();
  return read;
}

TrainingPlan lay_over(const TrainingPlan& under, const TrainingPlan& over)
{
  const auto first = [](const auto& a, const auto& b) { return a ? a : b; };
  return {.tokens         = first(over.tokens, under.tokens),
          .price          = first(over.price, under.price),
          .pue            = first(over.pue, under.pue),
          .power          = first(over.power, under.power),
          .grid_intensity = first(over.grid_intensity, under.grid_intensity),
          .currency       = over.price ? over.currency : under.currency};
}

void add_planned(const TrainingPlan& plan, Figures& figures)
{
  const auto rate  = find(figures, "tokens_per_s");
  const auto chips = find(figures, "chips");
  if (!plan.tokens || !rate || !(*rate > 0) || !chips)
    return;
  const double days       = *plan.tokens / *rate / 86400;
  const double chip_hours = *chips * days * 24;
  figures["days"]         = days;
  figures["chip_hours"]   = chip_hours;
  if (plan.price)
    figures["cost"] = chip_hours * *plan.price;
  const auto power = plan.power ? std::optional(plan.power->value()) : find(figures, "power");
  if (!power)
    return;
  const double pue    = plan.pue ? *plan.pue : find(figures, "pue").value_or(1);
  const double energy = chip_hours * *power * pue / 1e6;
  figures["energy"]   = energy;
  if (const auto grid =
          plan.grid_intensity ? std::optional(plan.grid_intensity->value()) : find(figures, "grid_intensity"))
    figures["co2e"] = energy * *grid;
}

} // namespace podsim
